package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/lesson"
)

// retry takes the child's name away: somebody else's ConfigMap has it. The controller must not
// touch what is not its own, so each reconcile ends in an error, until the name is free.
func (s *shared) retry(ctx context.Context, run *lesson.Run) error {
	const failures = 8
	r, err := s.started(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.end() }()
	err = s.create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "unlucky-summary"}})
	if err != nil {
		return err
	}
	if err := s.create(ctx, parent("unlucky", "color")); err != nil {
		return err
	}
	err = r.until(ctx, "the controller has failed often enough", func() (bool, error) {
		return r.reconciled("unlucky") >= failures, nil
	})
	if err != nil {
		return err
	}
	if err := s.remove(ctx, "unlucky-summary"); err != nil { // no event tells the controller
		return err
	}
	if err := s.untilKeys(ctx, r, "unlucky", 1); err != nil {
		return err
	}
	r.mu.Lock()
	tries := r.tries["unlucky"]
	r.mu.Unlock()
	table := [][]any{{"try", "after"}, {1, "the event"}}
	var waits []time.Duration
	for i := 1; i < failures; i++ {
		waits = append(waits, tries[i].Sub(tries[i-1]))
		table = append(table, []any{i + 1, lesson.Duration(waits[i-1])})
	}
	run.Say("unlucky-summary belongs to somebody else, so each try ends in an error.")
	run.Table(table...)
	if waits[len(waits)-1] > 8*waits[0] {
		run.Say("The waits grow, so a lasting error costs little. Then the name is free, and")
		run.Say("the child is made without an event: a returned error is not forgotten.")
	}
	return nil
}
