package main

import (
	"context"
	"time"

	"client-go-lessons/internal/lesson"
)

// restore deletes the child, as somebody does by mistake. The handler is told of the child, and
// puts its parent into the queue.
func (s *shared) restore(ctx context.Context, run *lesson.Run) error {
	r, err := s.started(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.end() }()
	begin := time.Now()
	if err := s.remove(ctx, "app-summary"); err != nil {
		return err
	}
	if err := s.untilKeys(ctx, r, "app", 2); err != nil {
		return err
	}
	run.Say("app-summary is deleted by hand, and back after %s", lesson.Duration(time.Since(begin)))
	lap := r.wire.Lap()
	run.Wire(lap)
	if lap.Requests["create"] == 1 {
		run.Say("One write. A controller must watch what it makes, too.")
	}
	return nil
}

// restart stops the controller and starts another. Nothing is remembered: the new one is told of
// each ConfigMap as if it had just been made, and looks at each.
func (s *shared) restart(ctx context.Context, run *lesson.Run) error {
	const more = 20
	r, err := s.started(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.end() }()
	if err := s.createMany(ctx, "plain", more); err != nil {
		return err
	}
	err = r.until(ctx, "all have a child", func() (bool, error) {
		children, err := s.children(ctx, "plain")
		return children == more, err
	})
	if err != nil {
		return err
	}
	if err := r.end(); err != nil {
		return err
	}
	if r, err = s.newRunning(); err != nil {
		return err
	}
	r.start(ctx, r.run)
	defer func() { _ = r.end() }()
	err = r.until(ctx, "the new controller has looked at all", func() (bool, error) {
		return r.reconciled("") >= more && r.idle(), nil
	})
	if err != nil {
		return err
	}
	run.Say("a new controller: it looked %d times", r.reconciled(""))
	lap := r.wire.Lap()
	run.Wire(lap)
	if lap.Requests["create"]+lap.Requests["update"] == 0 {
		run.Say("It found everything as it should be, so it wrote nothing.")
	}
	return nil
}
