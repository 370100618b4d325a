// Package play is what the judge does in exercise 08.
package play

import (
	"context"
	"slices"
	"strings"

	"client-go-lessons/internal/judge"
	"client-go-lessons/internal/observer"
)

// Play deletes a ConfigMap while no watch is open, and lets the server forget that it did.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	fence, last, after := judge.Word("fence"), judge.Word("last"), judge.Word("after")
	if err := t.Create(ctx, fence, nil); err != nil {
		return "", err
	}
	end, gate := make(chan struct{}), observer.NewGate()
	t.Inject(observer.Match{Verb: "watch", To: 1}, judge.EndWhen(end))
	if err := t.Start(); err != nil {
		return "", err
	}
	added := func(name string) bool { return slices.Contains(t.Lines("added:"), name) }
	if err := t.Must(ctx, "be told of the fence", func() bool { return t.Synced() && added(fence) }); err != nil {
		return "", err
	}
	var forgotten judge.Horizon
	before := t.Count("watch") + t.Count("list")
	t.Inject(observer.Match{Verb: "watch", Func: forgotten.Includes}, observer.ExpireAfterEvents(0))
	t.Inject(observer.Match{Verb: "watch", To: 1}, observer.HoldRequest(gate))
	close(end)
	if err := t.Must(ctx, "watch again after its watch had ended (injected)", func() bool {
		return t.Count("watch")+t.Count("list") > before
	}); err != nil {
		return "", err
	}
	if err := t.Delete(ctx, fence); err != nil {
		return "", err
	}
	list, err := t.List(ctx)
	if err != nil {
		return "", err
	}
	forgotten.Set(list.ResourceVersion)
	gate.Open()
	if err := t.Create(ctx, last, nil); err != nil {
		return "", err
	}
	told := func() bool { // with or without its namespace
		lines := t.Lines("deleted:")
		return slices.Contains(lines, fence) || slices.Contains(lines, t.Namespace+"/"+fence)
	}
	// A relist tells of what is there before it tells of what is gone. What the program was told
	// before the ConfigMap that comes after those, it has handled.
	made := false
	ok, err := t.Until(ctx, "hear of what happened while no watch was open", func() bool {
		return told() || added(after)
	}, func() error {
		if made || !added(last) {
			return nil
		}
		made = true
		return t.Create(ctx, after, nil)
	})
	if err != nil {
		return "", err
	}
	scene := "The " + fence + " was deleted while no watch was open, and the server had forgotten that when the next one began (injected)."
	if told() {
		return "deleted: " + fence + ". Your program was told, though nobody had seen the deletion.", nil
	}
	if ok {
		return "", judge.NotYet("%s Your handler was told of that by a tombstone. Your program never printed it: "+
			"it prints only deletions that come as a ConfigMap.", scene)
	}
	how, failed := t.End()
	if failed && strings.Contains(how, "DeletedFinalStateUnknown") {
		return "", judge.NotYet("%s Your handler was told by a tombstone, which is no ConfigMap, and %s.", scene, how)
	}
	return "", judge.NotYet("%s Then %s.", scene, how)
}
