package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/lesson"
)

// burst changes one ConfigMap a hundred times. The queue holds a name once, however often the name
// is added, and gives a name to one worker at a time: what happens meanwhile waits, and is dealt
// with once.
func (s *shared) burst(ctx context.Context, run *lesson.Run) error {
	const changes, slow = 100, 50 * time.Millisecond
	r, err := s.newRunning()
	if err != nil {
		return err
	}
	r.during = func() { time.Sleep(slow) } // injected
	r.start(ctx, r.run)
	defer func() { _ = r.end() }()
	if err := r.ready(ctx); err != nil {
		return err
	}
	busy := parent("busy")
	if err := s.create(ctx, busy); err != nil {
		return err
	}
	for i := range changes {
		busy.Data = map[string]string{}
		for key := range i + 1 {
			busy.Data[fmt.Sprintf("key-%d", key)] = "some"
		}
		if _, err := s.configMaps.Update(ctx, busy, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("update ConfigMap busy: %w", err)
		}
	}
	if err := s.untilKeys(ctx, r, "busy", changes); err != nil {
		return err
	}
	err = r.until(ctx, "the controller is idle", func() (bool, error) { return r.idle(), nil })
	if err != nil {
		return err
	}
	reconciles := r.reconciled("busy")
	run.Say("each reconcile takes %s here (injected), as if it asked another service",
		lesson.Duration(slow))
	run.Say("%d changes of one ConfigMap: %d reconciles, %d at most at the same time", changes,
		reconciles, r.together)
	run.Wire(r.wire.Lap())
	if reconciles < changes/2 && r.together == 1 {
		run.Say("The last state is what counts, and the child shows it. A queue merges what a")
		run.Say("channel would hand out one by one.")
	}
	return nil
}
