package main

import (
	"context"
	"sync/atomic"

	corev1informers "k8s.io/client-go/informers/core/v1"

	"client-go-lessons/internal/lesson"
)

// missed breaks the watch. Somebody deletes a child and a parent meanwhile, and the server has
// forgotten where the watch was, so the informer begins anew. It finds what is gone, and tells of
// each by a DeletedObject whose last state nobody knows.
func (s *shared) missed(ctx context.Context, run *lesson.Run) error {
	r, err := s.newRunning()
	if err != nil {
		return err
	}
	var unseen atomic.Int64 // deletions
	_, err = r.factory.Core().V1().ConfigMaps().TypedInformer().AddTypedEventHandler(
		corev1informers.ConfigMapHandlerFuncs{
			DeleteFunc: func(gone corev1informers.DeletedConfigMap) {
				if gone.FinalStateUnknown != nil {
					unseen.Add(1)
				}
			},
		})
	if err != nil {
		return err
	}
	r.start(ctx, r.run)
	defer func() { _ = r.end() }()
	if err := r.ready(ctx); err != nil {
		return err
	}
	if err := s.create(ctx, parent("doomed", "color")); err != nil {
		return err
	}
	err = r.until(ctx, "the controller has seen the child of doomed", func() (bool, error) {
		_, err := r.lister.ConfigMaps(s.ns).Get("doomed-summary")
		return err == nil, nil
	})
	if err != nil {
		return err
	}

	r.outage.Begin()
	run.Say("the watch breaks (injected)")
	for _, name := range []string{"app-summary", "doomed"} {
		if err := s.remove(ctx, name); err != nil {
			return err
		}
	}
	run.Say("somebody deletes app-summary and doomed; the controller does not hear of it")
	r.outage.End()
	run.Say("the watch comes back: 410, its resourceVersion is too old (injected)")
	if err := s.untilKeys(ctx, r, "app", 2); err != nil {
		return err
	}
	run.Say("deletions told without the last state: at least %d", min(2, unseen.Load()))
	run.Say("app-summary is back. doomed is gone, and the controller did not panic.")
	if unseen.Load() > 0 {
		run.Say("A typed handler leaves no room for the wrong type. It must still expect that")
		run.Say("the object is missing: OptionalObj may be nil.")
	}
	return nil
}
