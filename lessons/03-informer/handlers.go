package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
)

// handlers adds a handler. First the handler is told of everything that is in the cache, as if it
// had just been added, then of every change. A handler must be quick: its next event waits for it,
// in a queue that has no limit. A controller puts a key into a client-go/util/workqueue and
// returns; this handler sends to a channel.
//
// The notes call the fields OnAdd, OnUpdate and OnDelete. Those are the names of the methods.
func (s *shared) handlers(ctx context.Context, run *lesson.Run) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes, tell := listen(ctx)
	informer, lister := s.copy.configMaps.TypedInformer(), s.copy.configMaps.Lister()
	handler, err := informer.AddTypedEventHandler(corev1informers.ConfigMapHandlerFuncs{
		AddFunc: func(cm *corev1.ConfigMap) {
			tell(change{verb: "added", now: cm})
		},
		UpdateFunc: func(old, cm *corev1.ConfigMap) {
			tell(change{verb: "updated", old: old, now: cm})
		},
		DeleteFunc: func(gone corev1informers.DeletedConfigMap) {
			tell(change{verb: "deleted", old: gone.OptionalObj}) // step missed: when it is nil
		},
	})
	if err != nil {
		return fmt.Errorf("add a handler: %w", err)
	}
	defer func() { _ = informer.RemoveEventHandler(handler) }()

	// That the cache has synced does not mean that this handler was told: its registration knows.
	running := s.copy.running
	if !cache.WaitFor(running, "", handler.HasSyncedChecker()) {
		return context.Cause(running)
	}
	told := len(changes)
	for range told {
		<-changes
	}
	run.Say("to begin with      told of %d ConfigMaps", told)

	api := s.clientset.CoreV1().ConfigMaps(s.ns)
	color, err := api.Create(ctx,
		example("color", "", map[string]string{"is": "blue"}), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ConfigMap color: %w", err)
	}
	added, err := next(running, changes, "added", "color")
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
	updated, err := next(running, changes, "updated", "color")
	if err != nil {
		return err
	}
	run.Say("after an Update    %s %s: %s → %s", updated.verb, updated.now.Name,
		updated.old.Data["is"], updated.now.Data["is"])

	if err := api.Delete(ctx, "color", metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete ConfigMap color: %w", err)
	}
	deleted, err := next(running, changes, "deleted", "color")
	if err != nil {
		return err
	}
	run.Say("after a Delete     %s %s: %s", deleted.verb, deleted.old.Name, deleted.old.Data["is"])

	lap := s.wire.Lap()
	run.Wire(lap)
	if updated.old == before && lap.Total() == 3 {
		run.Say("Handlers cost no request. The old object of an update is the very object")
		run.Say("that was in the cache, not a copy: to use it costs nothing.")
	}
	return nil
}

// change is what a handler was told, for the steps that wait for it.
type change struct {
	verb     string
	old, now *corev1.ConfigMap
	missed   bool // a deletion that the informer did not see
}

func (c change) name() string {
	if c.now != nil {
		return c.now.Name
	}
	return c.old.Name
}

// listen returns a channel of changes of the lesson's own ConfigMaps, and a function for handlers
// that sends to it. The function gives up when ctx ends: a handler that nobody listens to any more
// must not hang, or Shutdown hangs as well.
func listen(ctx context.Context) (<-chan change, func(change)) {
	changes := make(chan change, 100)
	return changes, func(c change) {
		if c.now != nil && !ours(c.now) || c.now == nil && (c.old == nil || !ours(c.old)) {
			return
		}
		select {
		case changes <- c:
		case <-ctx.Done():
		}
	}
}

// next waits for the next change of this kind to a ConfigMap of that name: of any kind if verb is
// "", of any name if name is "".
func next(ctx context.Context, changes <-chan change, verb, name string) (change, error) {
	for {
		select {
		case c := <-changes:
			if (verb == "" || c.verb == verb) && (name == "" || name == c.name()) {
				return c, nil
			}
		case <-ctx.Done():
			return change{}, context.Cause(ctx)
		}
	}
}
