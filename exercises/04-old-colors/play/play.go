// Package play is what the judge does in exercise 04.
package play

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"client-go-lessons/internal/judge"
	"client-go-lessons/internal/observer"
)

// Play lets the server forget all versions up to one after the first watch has ended.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	end, gate := make(chan struct{}), observer.NewGate()
	t.Inject(observer.Match{Verb: "watch", To: 1}, judge.EndWhen(end))
	if err := t.Start(); err != nil {
		return "", err
	}
	if err := t.Must(ctx, "open a watch", t.Watching(1)); err != nil {
		return "", err
	}
	if _, err := t.Set(ctx, "door", "color", judge.Word("red")); err != nil {
		return "", err
	}
	if err := mustShowColors(ctx, t, "print the colors after the first change"); err != nil {
		return "", err
	}
	lists := t.Count("list")
	var forgotten judge.Horizon
	t.Inject(observer.Match{Verb: "watch", Func: forgotten.Includes}, observer.ExpireAfterEvents(0))
	t.Inject(observer.Match{Verb: "watch", To: 1}, observer.HoldRequest(gate))
	close(end)
	if err := t.Must(ctx, "watch again after its watch had ended (injected)", func() bool {
		return t.Count("watch") > 1
	}); err != nil {
		return "", err
	}
	list, err := t.List(ctx)
	if err != nil {
		return "", err
	}
	version := list.ResourceVersion
	forgotten.Set(version)
	if err := t.Delete(ctx, "gate"); err != nil {
		return "", err
	}
	if _, err := t.Set(ctx, "wall", "color", judge.Word("black")); err != nil {
		return "", err
	}
	fresh, err := colorsAreRight(ctx, t)
	if err != nil {
		return "", err
	}
	gate.Open()

	const many = 20 // watches that cannot succeed
	refused := func() int {
		return t.Requests().Where(func(r observer.Request) bool {
			return r.Verb == "watch" && strings.Contains(r.Injected, "410")
		}).Count()
	}
	ok, err := t.Until(ctx, "print the colors that there are", func() bool { return refused() >= many || fresh() })
	if err != nil {
		return "", err
	}
	switch n := refused(); {
	case fresh():
	case !ok:
		how, _ := t.End()
		return "", judge.NotYet("The judge let the server say 410 (injected): it does not know the changes since version %s any more. "+
			"That is no reason to give up, but %s.", version, how)
	default:
		return "", judge.NotYet("The server does not know the changes since version %s any more: 410 (injected). Your program asked for "+
			"them %d times all the same, and sent %d LIST meanwhile. It would go on for ever, and its colors stay old.",
			version, n, t.Count("list")-lists)
	}
	good := fmt.Sprintf("After %d × 410 (injected) your program sent %d LIST, and its colors are right again.",
		refused(), t.Count("list")-lists)
	if _, err := t.Set(ctx, "wall", "color", judge.Word("white")); err != nil {
		return "", err
	}
	return good, mustShowColors(ctx, t, "go on watching, and print the colors after one more change")
}

func mustShowColors(ctx context.Context, t *judge.Trial, what string) error {
	right, err := colorsAreRight(ctx, t)
	if err != nil {
		return err
	}
	return t.Must(ctx, what, right)
}

// colorsAreRight returns a condition: the program's last line shows the colors that are on the
// server at the time of this call.
func colorsAreRight(ctx context.Context, t *judge.Trial) (func() bool, error) {
	list, err := t.List(ctx)
	if err != nil {
		return nil, err
	}
	colors := map[string]string{}
	for _, cm := range list.Items {
		colors[cm.Name] = cm.Data["color"]
	}
	return func() bool {
		lines := t.Lines("colors:")
		return len(lines) > 0 && maps.Equal(colors, printedColors(t, lines[len(lines)-1]))
	}, nil
}

// printedColors reads a line such as map[door:red wall:white].
func printedColors(t *judge.Trial, line string) map[string]string {
	colors := map[string]string{}
	for _, pair := range strings.Fields(strings.TrimSuffix(strings.TrimPrefix(line, "map["), "]")) {
		if name, color, _ := strings.Cut(pair, ":"); t.Owns(name) {
			colors[name] = color
		}
	}
	return colors
}
