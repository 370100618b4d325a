package main

import (
	"context"
	"net/http"

	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
)

// late holds all watch events back, so the cache does not learn of the child that the controller
// makes. Then it asks for the same parent again and again, as a resync or a change does.
func (s *shared) late(ctx context.Context, run *lesson.Run) error {
	const looks = 4
	settled, err := s.started(ctx) // app has its child, whichever steps ran before
	if err != nil {
		return err
	}
	if err := settled.end(); err != nil {
		return err
	}
	if err := s.create(ctx, parent("hasty", "color")); err != nil {
		return err
	}
	r, err := s.newRunning()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		_ = r.end()
	}()
	r.factory.StartWithContext(ctx) // the workers begin later
	if err := r.factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}
	r.lag.Hold() // injected
	r.wire.Lap()
	r.start(ctx, r.run)
	for look := range looks {
		if look > 0 {
			r.queue.Add(cache.ObjectName{Namespace: s.ns, Name: "hasty"})
		}
		err := r.until(ctx, "the controller has looked at hasty", func() (bool, error) {
			return r.reconciled("hasty") > look, nil
		})
		if err != nil {
			return err
		}
	}
	lap := r.wire.Lap()
	children, err := s.children(ctx, "hasty")
	if err != nil {
		return err
	}
	run.Say("watch events held back (injected): the cache shows hasty, and no child")
	run.Say("%d looks at hasty: %d CREATE, %d of them refused (409), %d GET, %d UPDATE", looks,
		lap.Requests["create"], lap.Status[http.StatusConflict], lap.Requests["get"],
		lap.Requests["update"])
	run.Say("children of hasty: %d", children)

	r.lag.Release()
	err = r.until(ctx, "the event about the child has come", func() (bool, error) {
		return r.reconciled("hasty") > looks && r.idle(), nil
	})
	if err != nil {
		return err
	}
	after := r.wire.Lap()
	run.Say("then the events come; requests after that: %d", after.Total())
	if children == 1 && after.Total() == 0 {
		run.Say("The name can be foreseen, so the server refuses a second child. A live read")
		run.Say("shows that the first one is right, so there is nothing to write.")
	}
	return nil
}
