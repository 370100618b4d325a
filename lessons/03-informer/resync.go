package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
)

// resync gives the factory a resync period, which was 0 up to here. Each time it is over, a handler
// gets an update for every object in the cache, old and new being the same. That is a second chance
// for what a handler failed to do. It is no second look at the server: an event that went missing
// is not found by it. The shortest period is a second; hours are usual.
func (s *shared) resync(ctx context.Context, run *lesson.Run) error {
	again := s.newCopy(ctx, s.clientset, time.Second)
	defer again.stop()
	changes, tell := listen(again.running)
	handler, err := again.configMaps.TypedInformer().AddTypedEventHandler(
		corev1informers.ConfigMapHandlerFuncs{
			UpdateFunc: func(old, cm *corev1.ConfigMap) {
				tell(change{verb: "updated", old: old, now: cm})
			},
		})
	if err != nil {
		return fmt.Errorf("add a handler: %w", err)
	}
	if err := again.start(); err != nil {
		return err
	}
	if !cache.WaitFor(again.running, "", handler.HasSyncedChecker()) {
		return context.Cause(again.running)
	}
	s.wire.Lap() // the sync is not part of it
	list, err := again.configMaps.Lister().ConfigMaps(s.ns).List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list from the cache: %w", err)
	}
	objects := len(names(list))

	begin, same := time.Now(), 0
	for range objects {
		c, err := next(again.running, changes, "updated", "")
		if err != nil {
			return err
		}
		if c.old.ResourceVersion == c.now.ResourceVersion {
			same++
		}
	}
	run.Say("%d objects in the cache; after %s: %d updates, %d of them without a change",
		objects, lesson.Duration(time.Since(begin)), objects, same)
	lap := s.wire.Lap()
	run.Wire(lap)
	if lap.Total() == 0 && same == objects {
		run.Say("No: the informer repeats what its cache holds. A handler knows such an update")
		run.Say("by the resourceVersion: old and new have the same.")
	}
	return nil
}
