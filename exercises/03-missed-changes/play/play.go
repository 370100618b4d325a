// Package play is what the judge does in exercise 03.
package play

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"client-go-lessons/internal/judge"
	"client-go-lessons/internal/observer"
)

// Play makes changes between two watches, and one after.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	end, gate := make(chan struct{}), observer.NewGate()
	t.Inject(observer.Match{Verb: "watch", To: 1}, judge.EndWhen(end))
	if err := t.Start(); err != nil {
		return "", err
	}
	if err := t.Must(ctx, "open a watch", t.Watching(1)); err != nil {
		return "", err
	}
	if _, err := t.Set(ctx, "door", "color", "red"); err != nil {
		return "", err
	}
	printed := func() []string { return t.OwnLines("change:") }
	if err := t.Must(ctx, "print the first change", func() bool { return len(printed()) > 0 }); err != nil {
		return "", err
	}
	before := t.Requests().Count()
	t.Inject(observer.Match{}, observer.HoldRequest(gate))
	close(end)
	if err := t.Must(ctx, "watch again after its watch had ended (injected)", func() bool {
		return t.Requests().Count() > before
	}); err != nil {
		return "", err
	}
	// What the program asks now stands before the gate.
	fence, last := judge.Word("fence"), judge.Word("last")
	if err := t.Delete(ctx, "gate"); err != nil {
		return "", err
	}
	if err := t.Create(ctx, fence, nil); err != nil {
		return "", err
	}
	gate.Open()
	if err := t.Must(ctx, "watch again", t.Watching(2)); err != nil {
		return "", err
	}
	if err := t.Create(ctx, last, nil); err != nil {
		return "", err
	}
	if err := t.Must(ctx, "print the last change", func() bool {
		return slices.Contains(printed(), "ADDED "+last)
	}); err != nil {
		return "", err
	}
	want := []string{"MODIFIED door", "DELETED gate", "ADDED " + fence, "ADDED " + last}
	got := slices.DeleteFunc(printed(), func(line string) bool { return strings.HasPrefix(line, "BOOKMARK") })
	return verdict(want, got)
}

func verdict(want, got []string) (string, error) {
	times := map[string]int{} // that a line is there too often
	for _, line := range got {
		times[line]++
	}
	for _, line := range want {
		times[line]--
	}
	var missed, extra []string
	for _, line := range slices.Sorted(maps.Keys(times)) {
		switch n := times[line]; {
		case n < 0:
			missed = append(missed, line)
		case n > 0:
			extra = append(extra, slices.Repeat([]string{line}, n)...)
		}
	}
	switch {
	case len(missed)+len(extra) > 0:
		text := fmt.Sprintf("%d changes were made, two of them while no watch was open: the judge ended the first (injected).", len(want))
		if len(missed) > 0 {
			text += fmt.Sprintf(" Your program missed %d: %s.", len(missed), strings.Join(missed, ", "))
		}
		if len(extra) > 0 {
			text += fmt.Sprintf(" It printed %d that nobody made at that moment: %s.", len(extra), strings.Join(extra, ", "))
		}
		return "", judge.NotYet("%s", text)
	case !slices.Equal(got, want):
		return "", judge.NotYet("The changes were made in this order: %s. Your program printed: %s.",
			strings.Join(want, ", "), strings.Join(got, ", "))
	}
	return fmt.Sprintf("%d changes, each printed once, the two between the watches, too.", len(want)), nil
}
