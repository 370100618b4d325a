package main

import (
	"context"
	"fmt"
	"os"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/lesson"
)

// leader runs two replicas of the controller, both in this program. The one that holds the Lease
// works. The other one looks at the Lease from time to time, and has no cache yet.
func (s *shared) leader(ctx context.Context, run *lesson.Run) error {
	restore, err := silenceClientGo()
	if err != nil {
		return err
	}
	defer restore()
	run.Say("a Lease is held for %s, and renewed or looked at every %s",
		lesson.Duration(leaseDuration), lesson.Duration(retryPeriod))

	if err := s.makeLease(ctx); err != nil {
		return err
	}
	first, err := s.replica(ctx, "first")
	if err != nil {
		return err
	}
	defer func() { _ = first.end() }()
	if err := first.ready(ctx); err != nil {
		return err
	}
	second, err := s.replica(ctx, "second")
	if err != nil {
		return err
	}
	defer func() { _ = second.end() }()
	err = second.until(ctx, "the second replica has looked at the Lease", func() (bool, error) {
		return second.looked() >= 2, nil
	})
	if err != nil {
		return err
	}
	if err := s.create(ctx, parent("menu", "color")); err != nil {
		return err
	}
	if err := s.untilKeys(ctx, first, "menu", 1); err != nil {
		return err
	}
	err = first.until(ctx, "the first replica has reconciled menu", func() (bool, error) {
		return first.reconciled("menu") > 0 && first.idle(), nil
	})
	if err != nil {
		return err
	}
	run.Say("both run; menu reconciled by the first replica: %t, by the second: %t",
		first.reconciled("menu") > 0, second.reconciled("menu") > 0)
	alone := second.reconciled("") == 0

	begin := time.Now()
	if err := first.end(); err != nil {
		return err
	}
	if err := second.ready(ctx); err != nil {
		return err
	}
	handed := time.Since(begin)
	run.Say("the first one is stopped: the second one acts after %s", lesson.Duration(handed))

	if err := second.end(); err != nil {
		return err
	}
	if err := s.heldByDead(ctx); err != nil {
		return err
	}
	begin = time.Now()
	third, err := s.replica(ctx, "third")
	if err != nil {
		return err
	}
	defer func() { _ = third.end() }()
	if err := third.ready(ctx); err != nil {
		return err
	}
	waited := time.Since(begin)
	run.Say("the holder is dead (injected): a third one acts after %s", lesson.Duration(waited))
	if alone && handed < leaseDuration && waited >= leaseDuration {
		run.Say("One acts at a time. A holder that stops gives the Lease back, after its work.")
		run.Say("For one that died, the others wait until its time is up.")
	}
	return nil
}

// makeLease makes a Lease that nobody holds. A replica would make one by itself; but where it lacks
// a right to Leases, it tries again for ever and tells only the log.
func (s *shared) makeLease(ctx context.Context) error {
	leases := s.clientset.CoordinationV1().Leases(s.ns)
	free := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: lease}}
	if _, err := leases.Create(ctx, free, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the Lease: %w", err)
	}
	free, err := leases.Get(ctx, lease, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get the Lease: %w", err)
	}
	if _, err := leases.Update(ctx, free, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update the Lease: %w", err)
	}
	return nil
}

// replica is a controller that works when it holds the Lease.
func (s *shared) replica(ctx context.Context, identity string) (*running, error) {
	r, err := s.newRunning()
	if err != nil {
		return nil, err
	}
	r.start(ctx, func(ctx context.Context) error {
		return lead(ctx, r.clientset, s.ns, identity, r.run)
	})
	return r, nil
}

// looked counts the requests of a replica that does not lead.
func (r *running) looked() int {
	r.seen += r.wire.Lap().Requests["get"]
	return r.seen
}

// heldByDead makes the Lease that of a holder who has just renewed it and will never do so again.
func (s *shared) heldByDead(ctx context.Context) error {
	leases := s.clientset.CoordinationV1().Leases(s.ns)
	held, err := leases.Get(ctx, lease, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get the Lease: %w", err)
	}
	seconds := int32(leaseDuration.Seconds())
	held.Spec = coordinationv1.LeaseSpec{HolderIdentity: new("dead"),
		LeaseDurationSeconds: &seconds, RenewTime: new(metav1.NowMicro())}
	if _, err := leases.Update(ctx, held, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update the Lease: %w", err)
	}
	return nil
}

// silenceClientGo keeps what leader election logs off the screen: client-go writes it to os.Stderr.
func silenceClientGo() (restore func(), err error) {
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	screen := os.Stderr
	os.Stderr = nowhere
	return func() {
		os.Stderr = screen
		_ = nowhere.Close()
	}, nil
}
