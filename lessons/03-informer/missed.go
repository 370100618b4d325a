package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// missed breaks the watch, changes and deletes ConfigMaps, and makes the server say that it no
// longer knows where the watch was. The informer then begins anew: it compares what there is with
// its cache, and tells handlers of the difference.
func (s *shared) missed(ctx context.Context, run *lesson.Run) error {
	cfg := rest.CopyConfig(s.config)
	outage := wire.BreakWatches(cfg) // injected
	counter := wire.Count(cfg)
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	api := clientset.CoreV1().ConfigMaps(s.ns)

	flaky := s.newCopy(ctx, clientset, 0)
	defer flaky.stop()
	changes, tell := listen(flaky.running)
	informer := flaky.configMaps.TypedInformer()
	_, err = informer.AddTypedEventHandler(corev1informers.ConfigMapHandlerFuncs{
		AddFunc: func(cm *corev1.ConfigMap) { tell(change{verb: "added", now: cm}) },
		UpdateFunc: func(old, cm *corev1.ConfigMap) {
			tell(change{verb: "updated", old: old, now: cm})
		},
		// OptionalObj is the last state that the cache knew. It is nil if the cache knew none, so
		// take a name from GetName. FinalStateUnknown is set if the deletion itself was missed.
		DeleteFunc: func(gone corev1informers.DeletedConfigMap) {
			missed := gone.FinalStateUnknown != nil
			tell(change{verb: "deleted", old: gone.OptionalObj, missed: missed})
		},
	})
	if err != nil {
		return fmt.Errorf("add a handler: %w", err)
	}
	older := make(chan string, 1) // the type that a handler of older code is given
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		DeleteFunc: func(obj any) {
			if cm := lastKnown(obj); cm != nil && cm.Name == "doomed" {
				older <- fmt.Sprintf("%T", obj)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("add a handler: %w", err)
	}
	if err := flaky.start(); err != nil {
		return err
	}
	blue, green := map[string]string{"color": "blue"}, map[string]string{"color": "green"}
	for _, name := range []string{"doomed", "reborn"} {
		if err := create(ctx, api, example(name, "", blue)); err != nil {
			return err
		}
		if _, err := next(flaky.running, changes, "added", name); err != nil {
			return err
		}
	}
	counter.Lap() // up to here it was as in step handlers

	outage.Begin()
	run.Say("the watch breaks (injected)")
	if err := turnRedAndDelete(ctx, api, "doomed"); err != nil {
		return err
	}
	if err := turnRedAndDelete(ctx, api, "reborn"); err != nil {
		return err
	}
	if err := create(ctx, api, example("reborn", "", green)); err != nil {
		return err
	}
	lister := flaky.configMaps.Lister().ConfigMaps(s.ns)
	known, err := lister.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list from the cache: %w", err)
	}
	stale, err := lister.Get("doomed")
	if err != nil {
		return fmt.Errorf("get ConfigMap doomed from the cache: %w", err)
	}
	run.Say("on the server  both turn red, are deleted; then reborn is made again, green")
	run.Say("in the cache   doomed is still there, and %s", stale.Data["color"])
	outage.End()
	run.Say("the watch comes back: 410, its resourceVersion is too old (injected)")
	begin := time.Now()
	var deleted, updated change
	same := 0
	for range names(known) { // the handler is told of each, in no order
		c, err := next(flaky.running, changes, "", "")
		switch {
		case err != nil:
			return err
		case c.name() == "doomed":
			deleted = c
		case c.name() == "reborn":
			updated = c
		case c.old.ResourceVersion == c.now.ResourceVersion:
			same++
		}
	}
	run.Say("the handler    is told %s later:", lesson.Duration(time.Since(begin)))
	run.Say("               %s doomed, last known as %s", deleted.verb, deleted.old.Data["color"])
	run.Say("               %s reborn: %s → %s; same UID: %t", updated.verb,
		updated.old.Data["color"], updated.now.Data["color"], updated.old.UID == updated.now.UID)
	run.Say("               %d more updates, without a change", same)
	select {
	case as := <-older:
		run.Say("untyped code   gets a %s, not a %T", as, deleted.old)
	case <-flaky.running.Done():
		return context.Cause(flaky.running)
	}
	run.Wire(counter.Lap())
	if deleted.missed {
		run.Say("You never hear of red. The informer waited (0.8 s at least, then longer),")
		run.Say("listed and compared. It tells no deletion of the first reborn.")
	}
	return nil
}

// lastKnown is for a DeleteFunc of older code. Its obj is mostly a *corev1.ConfigMap. After a
// missed deletion it is a cache.DeletedFinalStateUnknown, a tombstone: a value, not a pointer,
// which holds the last known state. Then obj.(*corev1.ConfigMap) panics.
func lastKnown(obj any) *corev1.ConfigMap {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	cm, _ := obj.(*corev1.ConfigMap) // nil if it is something else
	return cm
}
