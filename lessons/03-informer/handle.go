package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
)

// change is what a handler was told, for the steps that wait for it.
type change struct {
	verb     string
	old, now *corev1.ConfigMap
	missed   bool   // a deletion that was not seen when it happened, as in step 10
	as       string // the type that a deletion was told by
}

func (c change) name() string {
	if c.now != nil {
		return c.now.Name
	}
	return c.old.Name
}

// listen returns a channel of changes and a function for handlers that sends to it. It gives up
// when ctx ends: a handler that nobody listens to any more must not hang, or Shutdown hangs, too.
func listen(ctx context.Context) (<-chan change, func(change)) {
	changes := make(chan change, 100)
	return changes, func(c change) {
		select {
		case changes <- c:
		case <-ctx.Done():
		}
	}
}

// next waits for the next change of this kind to a ConfigMap, to any if name is "".
func next(ctx context.Context, changes <-chan change, verb, name string) (change, error) {
	for {
		select {
		case c, ok := <-changes:
			if !ok {
				return c, errors.New("no more changes")
			}
			if c.verb == verb && (name == "" || name == c.name()) {
				return c, nil
			}
		case <-ctx.Done():
			return change{}, context.Cause(ctx)
		}
	}
}

// handle adds a handler. First it is told of everything that is in the cache, as if it had just
// been added, then of every change. A handler must not take long, since the next event waits for
// it. Real ones put a key into a queue (client-go/util/workqueue); this one sends to a channel.
// (The notes call the fields OnAdd, OnUpdate and OnDelete. Those are the names of the methods.)
func (s *shared) handle(ctx context.Context, run *lesson.Run) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes, tell := listen(ctx)
	informer, lister := s.configMaps.Informer(), s.configMaps.Lister()
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if cm, ok := obj.(*corev1.ConfigMap); ok {
				tell(change{verb: "added", now: cm})
			}
		},
		UpdateFunc: func(oldObj, newObj any) {
			old, ok1 := oldObj.(*corev1.ConfigMap)
			cm, ok2 := newObj.(*corev1.ConfigMap)
			if ok1 && ok2 {
				tell(change{verb: "updated", old: old, now: cm})
			}
		},
		DeleteFunc: func(obj any) { // step 10 says what obj may be, and why lastKnown
			if cm, _ := lastKnown(obj); cm != nil {
				tell(change{verb: "deleted", old: cm})
			}
		},
	})
	if err != nil {
		return fmt.Errorf("add a handler: %w", err)
	}
	defer func() { _ = informer.RemoveEventHandler(registration) }()

	// That the cache has synced does not mean that this handler was told: its registration knows.
	if !cache.WaitFor(s.running, "", registration.HasSyncedChecker()) {
		return context.Cause(s.running)
	}
	known := len(changes)
	for range known {
		if _, err := next(s.running, changes, "added", ""); err != nil {
			return err
		}
	}
	run.Say("to begin with      told of %d ConfigMaps", known)

	api := s.clientset.CoreV1().ConfigMaps(s.ns)
	color, err := api.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "color"}, Data: map[string]string{"is": "blue"},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ConfigMap color: %w", err)
	}
	added, err := next(s.running, changes, "added", "color")
	if err != nil {
		return err
	}
	run.Say("after a Create     %s %s: %s", added.verb, added.now.Name, added.now.Data["is"])

	before, err := lister.ConfigMaps(s.ns).Get("color")
	if err != nil {
		return fmt.Errorf("get ConfigMap color from the cache: %w", err)
	}
	color.Data["is"] = "red"
	if _, err = api.Update(ctx, color, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update ConfigMap color: %w", err)
	}
	updated, err := next(s.running, changes, "updated", "color")
	if err != nil {
		return err
	}
	run.Say("after an Update    %s %s: %s → %s", updated.verb, updated.now.Name,
		updated.old.Data["is"], updated.now.Data["is"])

	if err := api.Delete(ctx, "color", metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete ConfigMap color: %w", err)
	}
	deleted, err := next(s.running, changes, "deleted", "color")
	if err != nil {
		return err
	}
	run.Say("after a Delete     %s %s: %s", deleted.verb, deleted.old.Name, deleted.old.Data["is"])

	lap := s.wire.Lap()
	run.Wire(lap)
	if updated.old == before && lap.Total() == 3 {
		run.Say("Being told costs no request. The old object of an update is the very one that")
		run.Say("was in the cache, not even a copy: use it or ignore it, it is free.")
	}
	return nil
}
