// Package play is what the judge does in exercise 10.
package play

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/judge"
	"client-go-lessons/internal/observer"
)

const (
	paints = 12
	moment = 3 * time.Second  // for a handler to be told
	enough = 10 * time.Second // for the last report
)

// Play holds the first report back, and paints the door meanwhile.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	gate := observer.NewGate()
	t.Inject(observer.Match{Func: judge.Writes}, observer.HoldRequest(gate))
	if err := t.Start(); err != nil {
		return "", err
	}
	if err := t.Must(ctx, "fill its cache", t.Synced); err != nil {
		return "", err
	}
	if _, err := t.Set(ctx, "door", "color", judge.Word("first")); err != nil {
		return "", err
	}
	reports := func() int { return t.Requests().Where(judge.Writes).Count() }
	if err := t.Must(ctx, "report the first color", func() bool { return reports() > 0 }); err != nil {
		return "", err
	}
	var colors []string
	for range paints {
		colors = append(colors, judge.Word("color"))
		if _, err := t.Set(ctx, "door", "color", colors[len(colors)-1]); err != nil {
			return "", err
		}
	}
	if err := t.Must(ctx, "receive the changes", func() bool {
		return t.Requests().Events()[watch.Modified] > paints
	}); err != nil {
		return "", err
	}
	told := func() (n int) {
		for _, color := range colors {
			n += min(1, len(t.Lines("told: the door is "+color)))
		}
		return n
	}
	t.Within(ctx, moment, func() bool { return told() == paints })
	if n := told(); n < paints {
		return "", judge.NotYet("While the first report waited for the server (injected), the door was painted %d times, and all %d events "+
			"came over the wire. Within %s, your handler was told of %d of them: it was still busy with the first.",
			paints, paints, judge.Round(moment), n)
	}
	// Reports side by side overtake each other. Who is told at once sends them at once, too.
	if t.Within(ctx, moment/6, func() bool { return reports() > 1 }) {
		return "", judge.NotYet("Your handler was told of all %d changes. But your program sent %d reports side by side, while the first "+
			"was held back (injected). The server takes them in any order, and the last one may be of an old color.", paints, reports())
	}
	gate.Open()
	last := colors[paints-1]
	var now string
	var err error
	t.Within(ctx, enough, func() bool { now, err = t.Value(ctx, "report", "door"); return err != nil || now == last })
	if err != nil {
		return "", err
	}
	if now != last {
		return "", judge.NotYet("Your handler was told of all %d changes while the first report was held back (injected). But in the end the "+
			"report says %q, and the door is %q.", paints, now, last)
	}
	return fmt.Sprintf("Your handler was told of all %d changes while the first report was held back (injected). For all of them "+
		"together, your program sent %d reports.", paints, reports()), nil
}
