package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"

	"client-go-lessons/internal/lesson"
)

// until waits for one thing with UntilWithSync, as kubectl wait does. It hands you the events of an
// informer: first an Added for what is there, then each change. So you need no List before, and it
// goes on by itself after a timeout, a lost connection and a 410. It may skip a state in between.
func (f *follow) until(ctx context.Context, run *lesson.Run) error {
	lw := cache.NewListWatchFromClient(f.clientset.CoreV1().RESTClient(), "configmaps", f.ns,
		fields.OneTermEqualSelector("metadata.name", "door"))
	f.expire.Next(1) // injected: the first watch is told 410
	begun := false
	e, err := toolswatch.UntilWithSync(ctx, lw, &corev1.ConfigMap{}, nil,
		func(e watch.Event) (bool, error) {
			cm, err := configMap(e)
			if err != nil {
				return false, err
			}
			run.Say("%-8s  %s  %s", e.Type, cm.Name, cm.Data["color"])
			if !begun { // somebody paints the door green, once the waiting has begun
				begun = true
				if err := f.paintDoor(ctx, "green"); err != nil {
					return false, err
				}
			}
			return cm.Data["color"] == "green", nil
		})
	if err != nil {
		return fmt.Errorf("wait for a green door: %w", err)
	}
	lap := f.wire.Lap()
	run.Wire(lap)
	if lap.Requests["watch"] > 1 && e != nil {
		run.Say("The first watch was answered 410 (injected). UntilWithSync began anew by")
		run.Say("itself. A Watch and a RetryWatcher would have ended there.")
	}
	return nil
}
