// Package play is what the judge does in exercise 02.
package play

import (
	"context"
	"slices"
	"strings"

	"client-go-lessons/internal/judge"
	"client-go-lessons/internal/observer"
)

// Play makes some changes, ends the watch, and counts what is printed after that.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	end := make(chan struct{})
	t.Inject(observer.Match{Verb: "watch", To: 1}, judge.EndWhen(end))
	if err := t.Start(); err != nil {
		return "", err
	}
	if err := t.Must(ctx, "open a watch", t.Watching(1)); err != nil {
		return "", err
	}
	fence := judge.Word("fence")
	if _, err := t.Set(ctx, "door", "color", "red"); err != nil {
		return "", err
	}
	if err := t.Create(ctx, fence, nil); err != nil {
		return "", err
	}
	if err := t.Delete(ctx, "gate"); err != nil {
		return "", err
	}
	want := []string{"MODIFIED door", "ADDED " + fence, "DELETED gate"}
	printed := func() []string { return t.OwnLines("change:") }
	seen := func() bool { return len(printed()) >= len(want) }
	if err := t.Must(ctx, "print the changes", seen); err != nil {
		return "", err
	}
	// One more, for a program that counts to three.
	if err := t.Delete(ctx, fence); err != nil {
		return "", err
	}
	want = append(want, "DELETED "+fence)
	if err := t.Must(ctx, "print the last change", seen); err != nil {
		return "", err
	}
	if got := printed(); !slices.Equal(got, want) {
		return "", judge.NotYet("The judge made these changes: %s. Your program printed: %s.",
			strings.Join(want, ", "), strings.Join(got, ", "))
	}
	before := t.Total()
	close(end)
	const many = 100 // lines about nothing
	again := t.Watching(2)
	_, err := t.Until(ctx, "end after its watch had ended (injected), or to watch again", func() bool {
		return t.Total() >= before+many || again()
	})
	if err != nil {
		return "", err
	}
	if phantoms := printed()[len(want):]; len(phantoms) > 0 {
		n, more := len(phantoms), "then it ended"
		if n >= many {
			n, more = t.Total()-before, "and it went on" // beyond the lines that are kept
		}
		return "", judge.NotYet("%d changes were made, and your program printed them. Then the judge ended the watch "+
			"(injected), as a server does. Your program printed %d changes more that nobody made, %s. The first: %q.",
			len(want), n, more, phantoms[0])
	}
	if t.Total() >= before+many {
		return "", judge.NotYet("The judge ended the watch (injected). Your program printed %d lines after that.",
			t.Total()-before)
	}
	if again() {
		return "Each change is printed once. When the watch ended, your program began another.", nil
	}
	if how, failed := t.End(); failed {
		return "", judge.NotYet("The judge ended the watch (injected), which is no error. Your program should return nil, but %s.", how)
	}
	return "Each change is printed once. When the watch ended, so did your program.", nil
}
