package main

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/labels"

	"client-go-lessons/internal/lesson"
)

// shutdown stops the controller when its queue is full. The workers finish what is in the queue.
func (s *shared) shutdown(ctx context.Context, run *lesson.Run) error {
	const n, before = 50, 10
	if err := s.createMany(ctx, "last", n); err != nil {
		return err
	}
	r, err := s.newRunning()
	if err != nil {
		return err
	}
	full, told := make(chan struct{}), make(chan struct{})
	tell := sync.OnceFunc(func() {
		r.stop()
		close(told)
	})
	r.during = func() {
		<-full // no worker begins before all are in the queue
		if r.reconciled("last") >= before {
			tell()
		}
	}
	r.start(ctx, r.run)
	defer func() { _ = r.end() }()
	err = r.until(ctx, "the queue holds all", func() (bool, error) {
		wanted, err := r.lister.List(labels.Set{"summary": "wanted"}.AsSelector())
		return len(wanted) >= n && r.queue.Len() >= len(wanted)-workers, err
	})
	close(full)
	if err != nil {
		return err
	}
	select {
	case <-told:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	done := r.reconciled("last")
	if err := r.end(); err != nil {
		return err
	}
	children, err := s.children(ctx, "last")
	if err != nil {
		return err
	}
	run.Say("%d ConfigMaps are in the queue; told to stop after %d reconciles", n, done)
	run.Say("when it had stopped, %d of them had their child", children)
	if children == n && done < n {
		run.Say("It took nothing new and finished what it had. What waits after an error is")
		run.Say("dropped, and loses nothing: the next start looks at everything again.")
	}
	return nil
}
