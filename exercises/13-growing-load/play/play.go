// Package play is what the judge does in exercise 13.
package play

import (
	"context"
	"fmt"
	"slices"
	"time"

	"client-go-lessons/internal/judge"
)

// moment is how long a watch that was stopped may take to be seen as ended.
const moment = 2 * time.Second

// Play lets one fruit ripen late, and counts the watches that are open in the end.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	const late = "kiwi"
	if _, err := t.Set(ctx, late, "ripe", "no"); err != nil {
		return "", err
	}
	if err := t.Start(); err != nil {
		return "", err
	}
	ripe := func(name string) bool { return len(t.Lines(name+" is ripe")) > 0 }
	if err := t.Must(ctx, "say that the grape is ripe", func() bool { return ripe("grape") }); err != nil {
		return "", err
	}
	if t.Within(ctx, moment/4, func() bool { return ripe(late) }) {
		return "", judge.NotYet("Your program says that the %s is ripe. On the server it is not. Your program sent %s.", late, t.Sent())
	}
	if _, err := t.Set(ctx, late, "ripe", "yes"); err != nil {
		return "", err
	}
	unripe := func(name string) bool { return !ripe(name) }
	names := make([]string, 0, len(t.Stage))
	for _, fruit := range t.Stage {
		names = append(names, fruit.Name)
	}
	if err := t.Must(ctx, fmt.Sprintf("say that all %d fruits are ripe", len(names)), func() bool {
		return !slices.ContainsFunc(names, unripe)
	}); err != nil {
		return "", err
	}
	if t.Count("watch") == 0 {
		return "", judge.NotYet("All answers are right, but your program sent %s and opened no watch. It asked again and again.", t.Sent())
	}
	if t.Within(ctx, moment/2, t.Ended) {
		how, _ := t.End()
		return "", judge.NotYet("All answers are given. But the shop stays open, and %s.", how)
	}
	open := func() int { return t.Requests().Verb("watch", "").Open().Count() }
	t.Within(ctx, moment, func() bool { return open() <= 1 })
	if n := open(); n > 1 {
		return "", judge.NotYet("All %d answers are given, and %d watches are still open, of %d. Each holds a stream on the connection "+
			"and a goroutine in your program, as long as it runs.", len(names), n, t.Count("watch"))
	}
	return fmt.Sprintf("%d answers. Your program sent %s, and %d of its watches are still open.", len(names), t.Sent(), open()), nil
}
