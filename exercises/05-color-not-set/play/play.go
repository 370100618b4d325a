// Package play is what the judge does in exercise 05.
package play

import (
	"context"
	"fmt"
	"time"

	"client-go-lessons/internal/judge"
	"client-go-lessons/internal/observer"
)

// slow is how long the judge lets a sync take.
const slow = time.Second

// Play holds the answer back that fills the cache.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	want := judge.Word("blue")
	if _, err := t.Set(ctx, "settings", "color", want); err != nil {
		return "", err
	}
	gate := observer.NewGate()
	t.Inject(observer.Match{Verb: "watch"}, observer.HoldAnswer(gate))
	t.Inject(observer.Match{Verb: "list"}, observer.HoldAnswer(gate))
	if err := t.Start(); err != nil {
		return "", err
	}
	printed := func() bool { return len(t.Lines("color:")) > 0 }
	if err := t.Must(ctx, "fill its cache, by a watch", func() bool {
		return t.Count("watch")+t.Count("list") > 0 || printed()
	}); err != nil {
		return "", err
	}
	early := t.Within(ctx, slow, printed)
	gate.Open()
	if err := t.Must(ctx, `print "color:"`, printed); err != nil {
		return "", err
	}
	got := t.Lines("color:")[0]
	switch {
	case got != want && t.Requests().Count() == 0:
		return "", judge.NotYet("Your program printed %q before the answer was there: it had not even asked. On the server it is %s. "+
			"An empty cache says NotFound for everything.", "color: "+got, want)
	case got != want && early:
		return "", judge.NotYet("Your program printed %q. On the server it is %s. The server took %s to answer the informer (injected), "+
			"and your program read before the answer was there: an empty cache says NotFound for everything.",
			"color: "+got, want, judge.Round(slow))
	case got != want:
		return "", judge.NotYet("Your program printed %q. On the server it is %s.", "color: "+got, want)
	case t.Count("get") > 0:
		return "", judge.NotYet("The color is right, but your program asked the server for it: %s. Read it from the cache, by the lister.", t.Sent())
	case t.Count("watch") == 0:
		return "", judge.NotYet("The color is right, but your program sent %s and opened no watch. Read it from the cache, by the lister.", t.Sent())
	}
	return fmt.Sprintf("color: %s. The server took %s to answer (injected), and your program waited for it.", got, judge.Round(slow)), nil
}
