// Package play is what the judge does in exercise 06.
package play

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/judge"
)

// Play counts what twelve answers from the cache cost.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	if _, err := t.Set(ctx, "kiwi", "price", judge.Word("9")); err != nil {
		return "", err
	}
	list, err := t.List(ctx)
	if err != nil {
		return "", err
	}
	if err := t.Start(); err != nil {
		return "", err
	}
	n := len(list.Items)
	prices := func() (found int) {
		for _, fruit := range list.Items {
			found += min(1, len(t.Lines(fruit.Name+" costs")))
		}
		return found
	}
	if err := t.Must(ctx, fmt.Sprintf("print %d prices", n), func() bool { return prices() == n }); err != nil {
		return "", err
	}
	for _, fruit := range list.Items {
		if got := t.Lines(fruit.Name + " costs")[0]; got != fruit.Data["price"] {
			return "", judge.NotYet("Your program says that %s costs %s. On the server it costs %s.",
				fruit.Name, got, fruit.Data["price"])
		}
	}
	watches, lists, gets := t.Count("watch"), t.Count("list"), t.Count("get")
	switch {
	case watches > 1:
		return "", judge.NotYet("Your program opened %d watches for %d requests. 1 is enough. %d of them are still open, and each keeps "+
			"its own copy of all ConfigMaps up to date.", watches, n, t.Requests().Verb("watch", "").Open().Count())
	case watches == 0:
		return "", judge.NotYet("All prices are right, but your program sent %s and opened no watch. Read from the cache of an informer.", t.Sent())
	case gets > 0 || lists > 1:
		return "", judge.NotYet("All prices are right, but your program sent %s. What is in the cache costs no request.", t.Sent())
	}
	// The shop stays open: its cache hears of a new price.
	if _, err := t.Set(ctx, "kiwi", "price", judge.Word("8")); err != nil {
		return "", err
	}
	if err := t.Must(ctx, "stay open, so that its cache hears of a new price", func() bool {
		return t.Requests().Events()[watch.Modified] > 0
	}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d requests answered, %s.", n, t.Sent()), nil
}
