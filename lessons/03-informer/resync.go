package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
)

// resync gives the factory a resync period, its second argument, which was 0 up to here. Each time
// it is over, a handler gets an update for every object in the cache, old and new being the same.
// That is a second chance for what a handler failed to do. It is no second look at the server: an
// event that went missing is not found by it. The shortest period is a second; hours are usual.
func (s *shared) resync(ctx context.Context, run *lesson.Run) error {
	factory := informers.NewSharedInformerFactoryWithOptions(s.clientset, time.Second,
		informers.WithNamespace(s.ns))
	running, cancel := context.WithCancelCause(ctx)
	defer factory.Shutdown() // after the cancel below
	defer cancel(nil)

	configMaps := factory.Core().V1().ConfigMaps()
	if err := configMaps.Informer().SetWatchErrorHandlerWithContext(giveUp(cancel)); err != nil {
		return err
	}
	changes, tell := listen(running)
	registration, err := configMaps.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(oldObj, newObj any) {
			old, ok1 := oldObj.(*corev1.ConfigMap)
			cm, ok2 := newObj.(*corev1.ConfigMap)
			if ok1 && ok2 {
				tell(change{verb: "updated", old: old, now: cm})
			}
		},
	})
	if err != nil {
		return fmt.Errorf("add a handler: %w", err)
	}
	factory.StartWithContext(running)
	if !cache.WaitFor(running, "", registration.HasSyncedChecker()) {
		return context.Cause(running)
	}
	s.wire.Lap() // the sync is not part of it
	list, err := configMaps.Lister().ConfigMaps(s.ns).List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list from the cache: %w", err)
	}

	begin, same := time.Now(), 0
	for range list {
		c, err := next(running, changes, "updated", "")
		if err != nil {
			return err
		}
		if c.old.ResourceVersion == c.now.ResourceVersion {
			same++
		}
	}
	run.Say("%d objects in the cache; after %s: %d updates, %d of them without a change",
		len(list), lesson.Duration(time.Since(begin)), len(list), same)
	lap := s.wire.Lap()
	run.Wire(lap)
	if lap.Total() == 0 && same == len(list) {
		run.Say("Nobody asked the server. A handler knows such updates by resourceVersion:")
		run.Say("it is the same in old and new.")
	}
	return nil
}
