package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
)

// share asks the factory for more, as the parts of a program do that know nothing of each other.
// Each time the factory hands out the informer that it has. A handler that comes late is told what
// the cache holds: isInInitialList is true for that.
func (s *shared) share(ctx context.Context, run *lesson.Run) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes, tell := listen(ctx)
	var told [5]atomic.Int64 // by handler, of what there was
	for i := range told {
		informer := s.copy.factory.Core().V1().ConfigMaps().TypedInformer()
		handler, err := informer.AddTypedEventHandler(corev1informers.ConfigMapDetailedHandlerFuncs{
			AddFunc: func(cm *corev1.ConfigMap, isInInitialList bool) {
				if isInInitialList && ours(cm) {
					told[i].Add(1)
				}
			},
			UpdateFunc: func(_, cm *corev1.ConfigMap) {
				tell(change{verb: "updated", now: cm})
			},
		})
		if err != nil {
			return fmt.Errorf("add handler %d: %w", i+1, err)
		}
		defer func() { _ = informer.RemoveEventHandler(handler) }()
		if !cache.WaitFor(s.copy.running, "", handler.HasSyncedChecker()) {
			return context.Cause(s.copy.running)
		}
	}
	run.Say("5 handlers, added late, told of %d, %d, %d, %d and %d ConfigMaps",
		told[0].Load(), told[1].Load(), told[2].Load(), told[3].Load(), told[4].Load())

	var reads atomic.Int64
	var readers sync.WaitGroup
	for range 3 {
		lister := s.copy.factory.Core().V1().ConfigMaps().Lister()
		for range 2 {
			readers.Go(func() {
				for range 500 {
					list, err := lister.ConfigMaps(s.ns).List(labels.Everything())
					if err == nil && len(list) > 0 {
						reads.Add(1)
					}
				}
			})
		}
	}
	readers.Wait()
	run.Say("3 listers, each in 2 goroutines: %d reads", reads.Load())

	api := s.clientset.CoreV1().ConfigMaps(s.ns)
	app, err := s.copy.configMaps.Lister().ConfigMaps(s.ns).Get("app")
	if err != nil {
		return fmt.Errorf("get ConfigMap app from the cache: %w", err)
	}
	app = app.DeepCopy() // step edit says why
	app.Data["color"] = "green"
	if _, err := api.Update(ctx, app, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update ConfigMap app: %w", err)
	}
	for range told {
		if _, err := next(s.copy.running, changes, "updated", "app"); err != nil {
			return err
		}
	}
	run.Say("1 change on the server: %d handlers told", len(told))
	lap := s.wire.Lap()
	run.Wire(lap)
	if lap.Requests["watch"] == 0 && lap.OpenWatches == 1 {
		run.Say("One watch is open, as before. It feeds one cache, and the cache feeds all.")
	} else {
		run.Say("Watches opened: %d; open now: %d.", lap.Requests["watch"], lap.OpenWatches)
	}
	return nil
}

// edit changes a ConfigMap that came from the cache. The cache hands out the objects themselves, so
// whoever changes one changes it for all other readers, in the middle of their reading. DeepCopy
// first, change the copy, send it to the server: the watch brings it back.
func (s *shared) edit(ctx context.Context, run *lesson.Run) error {
	lister := s.copy.configMaps.Lister().ConfigMaps(s.ns)
	mine, err := lister.Get("cart")
	if err != nil {
		return fmt.Errorf("get ConfigMap cart from the cache: %w", err)
	}
	yours, err := s.copy.factory.Core().V1().ConfigMaps().Lister().ConfigMaps(s.ns).Get("cart")
	if err != nil {
		return fmt.Errorf("get ConfigMap cart from the cache: %w", err)
	}
	run.Say("two listers give the same object: %t", mine == yours)

	draft := mine.DeepCopy()
	draft.Data["color"] = "red"
	sent, err := s.clientset.CoreV1().ConfigMaps(s.ns).Update(ctx, draft, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("update ConfigMap cart: %w", err)
	}
	var now *corev1.ConfigMap
	err = wait.PollUntilContextTimeout(s.copy.running, time.Millisecond, time.Minute, true,
		func(context.Context) (bool, error) {
			now, err = lister.Get("cart")
			return err == nil && now.ResourceVersion == sent.ResourceVersion, err
		})
	if err != nil {
		return fmt.Errorf("wait for the update of ConfigMap cart in the cache: %w", err)
	}
	run.Say("after an Update of a copy: in the cache %s, in your hand still %s",
		now.Data["color"], mine.Data["color"])
	run.Wire(s.wire.Lap())
	if now != mine {
		run.Say("No: the object belongs to all readers. The informer itself never changes one,")
		run.Say("it puts another in its place. You: DeepCopy, change the copy, Update.")
	}
	return nil
}
