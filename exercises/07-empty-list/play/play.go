// Package play is what the judge does in exercise 07.
package play

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"client-go-lessons/internal/judge"
)

// Play compares what is listed from the cache with what there is.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	if err := t.Create(ctx, judge.Word("fence"), nil); err != nil {
		return "", err
	}
	list, err := t.List(ctx)
	if err != nil {
		return "", err
	}
	var want []string
	for _, cm := range list.Items {
		want = append(want, cm.Name)
	}
	slices.Sort(want)
	if err := t.Start(); err != nil {
		return "", err
	}
	printed := func() []string { return slices.Sorted(slices.Values(t.OwnLines("name:"))) }
	ok, err := t.Until(ctx, fmt.Sprintf("print %d names", len(want)), func() bool { return len(printed()) >= len(want) })
	if err != nil {
		return "", err
	}
	if !ok {
		if how, failed := t.End(); failed || t.Total() == 0 {
			return "", judge.NotYet("The judge waited for your program to print %d names, but %s.", len(want), how)
		}
	}
	switch got := printed(); {
	case slices.Equal(got, want) && t.Count("watch") == 0:
		return "", judge.NotYet("All names are right, but your program sent %s and opened no watch. Read them by the lister.", t.Sent())
	case slices.Equal(got, want):
		return fmt.Sprintf("%d ConfigMaps, %s.", len(got), t.Sent()), nil
	case len(got) == 0 && t.Requests().Count() == 0:
		return "", judge.NotYet("There are %d ConfigMaps. Your program printed 0, and sent no request at all: when it called Start "+
			"there was no informer to start, and so none to wait for, or it did not wait.", len(want))
	default:
		return "", judge.NotYet("There are %d ConfigMaps: %s. Your program printed %d (%s), and sent %s. Had the cache synced when it listed?",
			len(want), strings.Join(want, ", "), len(got), strings.Join(got, ", "), t.Sent())
	}
}
