package judge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/observer"
)

// phantomEvents makes three changes, ends the watch, and counts what is printed after that.
func phantomEvents(ctx context.Context, t *trial) (string, error) {
	end := make(chan struct{})
	t.inject(observer.Match{Verb: "watch", To: 1}, endWhen(end))
	if err := t.start(); err != nil {
		return "", err
	}
	if err := t.must(ctx, "open a watch", t.watching(1)); err != nil {
		return "", err
	}
	if err := t.threeChanges(ctx); err != nil {
		return "", err
	}
	want := []string{"MODIFIED door", "ADDED fence", "DELETED gate"}
	printed := func() []string { return t.program.lines("change:") }
	if err := t.must(ctx, "print three changes", func() bool { return len(printed()) >= len(want) }); err != nil {
		return "", err
	}
	if got := printed(); !slices.Equal(got, want) {
		return "", notYet("The judge made three changes: %s. Your program printed: %s.",
			strings.Join(want, ", "), strings.Join(got, ", "))
	}
	before := t.program.total()
	close(end)
	const many = 100 // lines about nothing
	again := func() bool { return t.watching(2)() }
	_, err := t.until(ctx, "end after its watch had ended (injected), or to watch again", func() bool {
		return t.program.total() >= before+many || again()
	})
	if err != nil {
		return "", err
	}
	if phantoms := printed()[len(want):]; len(phantoms) > 0 {
		n, more := len(phantoms), "then it ended"
		if n >= many {
			n, more = t.program.total()-before, "and it went on" // beyond the lines that are kept
		}
		return "", notYet("Three changes were made, and your program printed them. Then the judge ended the watch "+
			"(injected), as a server does. Your program printed %d changes more that nobody made, %s. The first: %q.",
			n, more, phantoms[0])
	}
	if t.program.total() >= before+many {
		return "", notYet("The judge ended the watch (injected). Your program printed %d lines after that.",
			t.program.total()-before)
	}
	if again() {
		return "Three changes, three lines. When the watch ended, your program began another.", nil
	}
	if how, bad := t.program.end(); bad || t.program.cmd.ProcessState.ExitCode() != 0 {
		return "", notYet("The judge ended the watch (injected), which is no error. Your program should return nil, but %s.", how)
	}
	return "Three changes, three lines. When the watch ended, so did your program.", nil
}

func (t *trial) threeChanges(ctx context.Context) error {
	if _, err := t.set(ctx, "door", "color", "red"); err != nil {
		return err
	}
	if err := t.create(ctx, "fence"); err != nil {
		return err
	}
	return t.deleteGate(ctx)
}

// missedChanges makes changes between two watches, and one after.
func missedChanges(ctx context.Context, t *trial) (string, error) {
	end, gate := make(chan struct{}), observer.NewGate()
	t.inject(observer.Match{Verb: "watch", To: 1}, endWhen(end))
	t.inject(observer.Match{Verb: "watch", From: 2}, observer.HoldRequest(gate))
	if err := t.start(); err != nil {
		return "", err
	}
	if err := t.must(ctx, "open a watch", t.watching(1)); err != nil {
		return "", err
	}
	if _, err := t.set(ctx, "door", "color", "red"); err != nil {
		return "", err
	}
	printed := func() []string { return t.program.lines("change:") }
	if err := t.must(ctx, "print the first change", func() bool { return len(printed()) > 0 }); err != nil {
		return "", err
	}
	close(end)
	if err := t.must(ctx, "watch again after its watch had ended (injected)", func() bool {
		return t.count("watch") > 1
	}); err != nil {
		return "", err
	}
	// The new watch stands before the gate.
	if err := t.deleteGate(ctx); err != nil {
		return "", err
	}
	if err := t.create(ctx, "fence"); err != nil {
		return "", err
	}
	gate.Open()
	if err := t.must(ctx, "watch again", t.watching(2)); err != nil {
		return "", err
	}
	if err := t.create(ctx, "last"); err != nil {
		return "", err
	}
	if err := t.must(ctx, "print the last change", func() bool { return slices.Contains(printed(), "ADDED last") }); err != nil {
		return "", err
	}

	want := []string{"MODIFIED door", "DELETED gate", "ADDED fence", "ADDED last"}
	got := slices.DeleteFunc(printed(), func(line string) bool { return strings.HasPrefix(line, "BOOKMARK") })
	var missed, extra []string
	seen := map[string]int{}
	for _, line := range got {
		seen[line]++
	}
	for _, line := range want {
		if seen[line]--; seen[line] < 0 {
			missed = append(missed, line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(seen)) {
		for range max(0, seen[line]) {
			extra = append(extra, line)
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
		return "", notYet("%s", text)
	case !slices.Equal(got, want):
		return "", notYet("The changes were made in this order: %s. Your program printed: %s.",
			strings.Join(want, ", "), strings.Join(got, ", "))
	}
	return fmt.Sprintf("%d changes, each printed once, the two between the watches, too.", len(want)), nil
}

// tooOld lets the server forget all versions up to the one at which the first watch ended.
func tooOld(ctx context.Context, t *trial) (string, error) {
	end, gate := make(chan struct{}), observer.NewGate()
	t.inject(observer.Match{Verb: "watch", To: 1}, endWhen(end))
	if err := t.start(); err != nil {
		return "", err
	}
	if err := t.must(ctx, "open a watch", t.watching(1)); err != nil {
		return "", err
	}
	version, err := t.set(ctx, "door", "color", "red")
	if err != nil {
		return "", err
	}
	fresh, err := t.colorsAreRight(ctx)
	if err != nil {
		return "", err
	}
	if err := t.must(ctx, "print the colors after the first change", fresh); err != nil {
		return "", err
	}
	lists := t.count("list")
	expired := observer.Match{Verb: "watch", Func: fromBefore(version)}
	t.inject(expired, observer.ExpireAfterEvents(0))
	t.inject(observer.Match{Verb: "watch", To: 1}, observer.HoldRequest(gate))
	close(end)
	if err := t.must(ctx, "watch again after its watch had ended (injected)", func() bool {
		return t.count("watch") > 1
	}); err != nil {
		return "", err
	}
	if err := t.deleteGate(ctx); err != nil {
		return "", err
	}
	if _, err := t.set(ctx, "wall", "color", "black"); err != nil {
		return "", err
	}
	if fresh, err = t.colorsAreRight(ctx); err != nil {
		return "", err
	}
	gate.Open()

	const many = 20 // watches that cannot succeed
	refused := func() int {
		return t.requests().Where(func(r observer.Request) bool {
			return r.Verb == "watch" && strings.Contains(r.Injected, "410")
		}).Count()
	}
	ok, err := t.until(ctx, "print the colors that there are", func() bool { return refused() >= many || fresh() })
	if err != nil {
		return "", err
	}
	switch n := refused(); {
	case fresh():
	case !ok:
		how, _ := t.program.end()
		return "", notYet("The judge let the server say 410 (injected): it does not know the changes since version %s any more. "+
			"That is no reason to give up, but %s.", version, how)
	case n >= many:
		return "", notYet("The server does not know the changes since version %s any more: 410 (injected). Your program asked for "+
			"them %d times all the same, and sent %d LIST meanwhile. It would go on for ever, and its colors stay old.",
			version, n, t.count("list")-lists)
	}
	return fmt.Sprintf("After %d × 410 (injected) your program sent %d LIST, and its colors are right again.",
		refused(), t.count("list")-lists), nil
}

// colorsAreRight returns a condition: the program's last line shows the colors that are on the
// server at the time of this call.
func (t *trial) colorsAreRight(ctx context.Context) (func() bool, error) {
	list, err := t.cms.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, judges(err)
	}
	colors := map[string]string{}
	for _, cm := range list.Items {
		colors[cm.Name] = cm.Data["color"]
	}
	return func() bool {
		lines := t.program.lines("colors:")
		return len(lines) > 0 && lines[len(lines)-1] == fmt.Sprint(colors)
	}, nil
}
