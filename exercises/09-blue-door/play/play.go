// Package play is what the judge does in exercise 09.
package play

import (
	"context"
	"fmt"
	"strings"
	"time"

	"client-go-lessons/internal/judge"
	"client-go-lessons/internal/observer"
)

// Play refuses the first write.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	t.Inject(observer.Match{Func: judge.Writes, To: 1}, observer.ServerError())
	if err := t.Start("KUBE_CACHE_MUTATION_DETECTOR=true"); err != nil {
		return "", err
	}
	const fault = "Your program changed an object that belongs to the cache"
	detected := func() (string, bool) {
		how, failed := t.End()
		return how, failed && strings.Contains(how, "modified")
	}
	ok, err := t.Until(ctx, "say that the door is red", func() bool { return len(t.Lines("the door is red")) > 0 })
	if err != nil {
		return "", err
	}
	if !ok {
		how, found := detected()
		if found {
			return "", judge.NotYet("%s: client-go's mutation detector, which the judge turns on, found it.", fault)
		}
		return "", judge.NotYet("The judge waited for your program to say that the door is red, but %s.", how)
	}
	color, err := t.Value(ctx, "door", "color")
	if err != nil {
		return "", err
	}
	sent := t.Requests().Where(judge.Writes).Count()
	switch {
	case color != "red" && sent == 0:
		return "", judge.NotYet("Your program says that the door is red. On the server it is %s, and your program sent %s.", color, t.Sent())
	case color != "red":
		return "", judge.NotYet("Your program says that the door is red. On the server it is %s. The server refused the first write "+
			"(injected), and there was no second: your program sent %d. %s, and the next look into the cache found the door red.", color, sent, fault)
	case t.Count("watch") == 0:
		return "", judge.NotYet("The door is red, but your program sent %s and opened no watch. It is to look into the cache first.", t.Sent())
	}
	// The detector looks once a second.
	if t.Within(ctx, 3*time.Second, t.Ended) {
		how, found := detected()
		if !found {
			return "", judge.NotYet("The door is red. But the judge could not see whether the cache was left alone: %s. "+
				"Let it run until its context ends.", how)
		}
		return "", judge.NotYet("The door is red. But %s%s: client-go's mutation detector, which the judge turns on, found it.",
			strings.ToLower(fault[:1]), fault[1:])
	}
	return fmt.Sprintf("The door is red, after %d writes, the first of them refused (injected). The cache was left alone.", sent), nil
}
