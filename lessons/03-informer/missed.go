package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// lastKnown returns the object that a DeleteFunc is told of, and whether its deletion was missed.
// An informer that was cut off for long lists again, and finds that an object is gone that it knew.
// It then tells of a cache.DeletedFinalStateUnknown, a value, with the last state that it had seen.
// A DeleteFunc that asserts obj.(*corev1.ConfigMap) without the ok works for months, then panics.
// (A typed handler, TypedInformer().AddTypedEventHandler, since 0.37, leaves no room for that.)
func lastKnown(obj any) (cm *corev1.ConfigMap, missed bool) {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj, missed = tombstone.Obj, true
	}
	cm, _ = obj.(*corev1.ConfigMap)
	return cm, missed
}

// missed makes that happen. The watch is broken, a ConfigMap is changed and deleted, and the server
// is made to say that it no longer knows where the watch was.
func (s *shared) missed(ctx context.Context, run *lesson.Run) error {
	cfg := rest.CopyConfig(s.config)
	outage := wire.BreakWatches(cfg) // injected
	counter := wire.Count(cfg)
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(s.ns))
	running, cancel := context.WithCancelCause(ctx)
	defer factory.Shutdown() // after the cancel below
	defer cancel(nil)

	configMaps := factory.Core().V1().ConfigMaps()
	if err := configMaps.Informer().SetWatchErrorHandlerWithContext(giveUp(cancel)); err != nil {
		return err
	}
	changes, tell := listen(running)
	_, err = configMaps.Informer().AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, isInInitialList bool) {
			if cm, ok := obj.(*corev1.ConfigMap); ok && !isInInitialList {
				tell(change{verb: "added", now: cm})
			}
		},
		DeleteFunc: func(obj any) {
			if cm, missed := lastKnown(obj); cm != nil {
				tell(change{verb: "deleted", old: cm, missed: missed, as: fmt.Sprintf("%T", obj)})
			}
		},
	})
	if err != nil {
		return fmt.Errorf("add a handler: %w", err)
	}
	factory.StartWithContext(running)
	if err := factory.WaitForCacheSyncWithContext(running).AsError(); err != nil {
		return err
	}

	api := clientset.CoreV1().ConfigMaps(s.ns)
	doomed, err := api.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "doomed"}, Data: map[string]string{"color": "blue"},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ConfigMap doomed: %w", err)
	}
	c, err := next(running, changes, "added", "doomed")
	if err != nil {
		return err
	}
	run.Say("told: %s %s, %s", c.verb, c.now.Name, c.now.Data["color"])
	counter.Lap() // up to here it was as in step 2

	outage.Begin()
	run.Say("the watch breaks (injected)")
	doomed.Data["color"] = "red"
	if _, err = api.Update(ctx, doomed, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update ConfigMap doomed: %w", err)
	}
	if err = api.Delete(ctx, "doomed", metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete ConfigMap doomed: %w", err)
	}
	stale, err := configMaps.Lister().ConfigMaps(s.ns).Get("doomed")
	if err != nil {
		return fmt.Errorf("get ConfigMap doomed from the cache: %w", err)
	}
	run.Say("the server turns doomed red and deletes it; the lister still says %s",
		stale.Data["color"])
	outage.End()
	run.Say("the watch comes back: 410, its resourceVersion is too old (injected)")
	begin := time.Now()
	if c, err = next(running, changes, "deleted", "doomed"); err != nil {
		return err
	}
	run.Say("told: %s %s, last known as %s, after %s",
		c.verb, c.old.Name, c.old.Data["color"], lesson.Duration(time.Since(begin)))
	run.Say("      by a %s instead of a %T", c.as, c.old)
	run.Wire(counter.Lap())
	if c.missed {
		run.Say("The informer waited (0.8 s at least, longer each time), began anew and found")
		run.Say("doomed gone. That it had been red, neither it nor you will ever know.")
	} else {
		run.Say("This time the informer was told of the deletion itself.")
	}
	return nil
}
