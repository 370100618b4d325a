package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"client-go-lessons/internal/lesson"
)

// late does the same with watch events that come 1.5 s late. In Tekton's experience it is sometimes
// a second or two. An idle cluster shows none of that, so the lag is injected, between the
// connection and the watch.
// The answers to writes and live reads are as fast as ever: only the cache lags.
//
// Two ready-made backoffs are at hand in client-go. Both are made for conflicts between writers,
// which pass quickly, and this shows how long their patience lasts.
func (d *fallback) late(ctx context.Context, run *lesson.Run) error {
	const lag = 1500 * time.Millisecond
	d.lag.Set(lag)
	defer d.lag.Set(0)

	all := make([]patience, items) // all at once, so that the step takes the lag once
	errs := make([]error, items)
	var writers sync.WaitGroup
	for i := range items {
		writers.Go(func() { all[i], errs[i] = d.lookOften(ctx, item(i)) })
	}
	writers.Wait()
	if err := firstOf(errs); err != nil {
		return err
	}

	var stale int
	var fresh, quick, slow lags
	for _, p := range all {
		if p.stale {
			stale++
			fresh = append(fresh, p.fresh)
		}
		if p.defaultRetry > 0 {
			quick = append(quick, p.defaultRetry)
		}
		if p.defaultBackoff > 0 {
			slow = append(slow, p.defaultBackoff)
		}
	}
	run.Say("watch events held back %s (injected)", lesson.Duration(lag))
	run.Say("stale on first read: %d of %d", stale, items)
	run.Say("those were fresh after   half %s   slowest %s",
		lesson.Duration(fresh.p(50)), lesson.Duration(fresh.p(100)))
	run.Table([]any{"asked the cache again with", "gave up", "after"},
		[]any{"retry.DefaultRetry", fmt.Sprintf("%d of %d", len(quick), items),
			lesson.Duration(quick.p(50))},
		[]any{"retry.DefaultBackoff", fmt.Sprintf("%d of %d", len(slow), items),
			lesson.Duration(slow.p(50))})
	run.Wire(d.wire.Lap())
	if len(quick) == items && len(slow) == items {
		run.Say("Both give up long before the event comes. A retry needs seconds.")
	} else {
		run.Say("Some lasted longer than the lag this time. A retry needs seconds.")
	}
	return nil
}

// patience is what became of one write.
type patience struct {
	stale          bool          // the first read from the cache was
	fresh          time.Duration // until the cache showed the write
	defaultRetry   time.Duration // after which retrying gave up; 0 if it did not
	defaultBackoff time.Duration
}

// lookOften updates a ConfigMap, then reads it from the cache until it shows the update.
func (d *fallback) lookOften(ctx context.Context, name string) (p patience, err error) {
	cached, err := d.lister.Get(name)
	if err != nil {
		return p, fmt.Errorf("read ConfigMap %s from the cache: %w", name, err)
	}
	cm := cached.DeepCopy() // what the cache holds is everybody's
	cm.Data["color"] = "green"
	written, err := d.clientset.CoreV1().ConfigMaps(d.ns).Update(ctx, cm, metav1.UpdateOptions{})
	if err != nil {
		return p, fmt.Errorf("update ConfigMap %s: %w", name, err)
	}
	start := time.Now()
	isFresh := func(context.Context) (bool, error) {
		cached, err := d.lister.Get(name)
		if err != nil {
			return false, err
		}
		return atLeast(cached, written.ResourceVersion)
	}
	first, err := isFresh(ctx)
	if err != nil {
		return p, err
	}
	p.stale = !first
	for _, try := range []struct {
		backoff wait.Backoff
		gaveUp  *time.Duration
	}{{retry.DefaultRetry, &p.defaultRetry}, {retry.DefaultBackoff, &p.defaultBackoff}} {
		begin := time.Now()
		err := wait.ExponentialBackoffWithContext(ctx, try.backoff, isFresh)
		switch {
		case ctx.Err() != nil:
			return p, ctx.Err()
		case wait.Interrupted(err): // by running out of steps
			*try.gaveUp = time.Since(begin)
		case err != nil:
			return p, err
		}
	}
	err = d.waiter.Wait(ctx, written.ResourceVersion)
	p.fresh = time.Since(start)
	return p, err
}

// atLeast tells whether this copy shows the write that was answered with that resourceVersion, or
// what came after it. Versions of objects of one resource can be compared, since Kubernetes 1.35
// as a promise; they are numbers as long as you like, so compare them with this function alone.
func atLeast(cm *corev1.ConfigMap, resourceVersion string) (bool, error) {
	order, err := resourceversion.CompareResourceVersion(cm.ResourceVersion, resourceVersion)
	return order >= 0 && err == nil, err
}
