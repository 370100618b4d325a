package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"client-go-lessons/internal/lesson"
)

// The work that every remedy is tried on. Again and again, each worker writes its own ConfigMap and
// reads it, reads one that somebody else has just written, and some that nobody writes. Its first
// write makes its ConfigMap, so that the cache misses it; the next ones find an older state there.
const (
	workers = 10
	rounds  = 20
	quiet   = 3 // reads of ConfigMaps that nobody writes, after each write
	writes  = workers * rounds
	reads   = writes * (2 + quiet)
)

// cost is what a remedy did.
type cost struct {
	own, others int     // reads that did not show the worker's own write, or somebody else's
	requests    float64 // to the server, for each read
	fresh       lags    // of the reads after a write alone: until the answer shows it
}

// p is a percentile of the times to a fresh answer. Where some never came there is none.
func (c cost) p(percent float64) string {
	if c.own > 0 {
		return "-"
	}
	return lesson.Duration(c.fresh.p(percent))
}

// compare tries the remedies, one after the other, on the same work.
func (d *fallback) compare(ctx context.Context, run *lesson.Run) error {
	const lag = 100 * time.Millisecond
	d.lag.Set(lag)
	defer d.lag.Set(0)

	table := [][]any{{"stale reads:", "own", "others'", "requests", "50 %", "90 %"}}
	for _, r := range d.remedies() {
		c, err := d.try(ctx, r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		d.costs[r.id] = c
		table = append(table, []any{r.name, c.own, c.others, perRead(c.requests), c.p(50), c.p(90)})
	}
	run.Say("watch events held back %s (injected)", lesson.Duration(lag))
	run.Say("%d reads each way, %d after a write of yours, %d after somebody else's.",
		reads, writes, writes)
	run.Say("Requests are for each read. The times are until the answer shows your own")
	run.Say("write, in half and in nine of ten reads:")
	run.Table(table...)
	missed := 0 // of one's own writes, by all ways but the first
	for id, c := range d.costs {
		if id != "cache" {
			missed += c.own
		}
	}
	if d.costs["cache"].own > 0 && missed == 0 && d.costs["live"].others == 0 {
		run.Say("Each way but the first shows your own write, for time, requests or memory.")
		run.Say("Only the last way is sure to show what somebody else wrote.")
	}
	return nil
}

// try has all workers do their work with one remedy.
func (d *fallback) try(ctx context.Context, r remedy) (c cost, err error) {
	cached, err := d.lister.List(labels.Everything())
	if err != nil {
		return c, err
	}
	known := map[string]string{} // the versions that the reader has seen
	for _, cm := range cached {
		known[cm.Name] = cm.ResourceVersion
	}
	var mu sync.Mutex
	// read reads a ConfigMap whose version written the reader knows, and returns whether the answer
	// shows the version now, or a later one.
	read := func(name, written, now string) (shows bool, took time.Duration, err error) {
		start := time.Now()
		cm, err := r.read(ctx, name, written)
		took = time.Since(start)
		switch {
		case apierrors.IsNotFound(err):
			return false, took, nil
		case err != nil:
			return false, took, fmt.Errorf("read ConfigMap %s: %w", name, err)
		}
		shows, err = atLeast(cm, now)
		return shows, took, err
	}
	round := func(w int, own *corev1.ConfigMap) error {
		shows, took, err := read(own.Name, own.ResourceVersion, own.ResourceVersion)
		if err != nil {
			return err
		}
		name := theirs(w)
		now, err := d.somebodyElse(ctx, name, own.Name+own.Data["round"])
		if err != nil {
			return err
		}
		showsTheirs, _, err := read(name, known[name], now.ResourceVersion)
		if err != nil {
			return err
		}
		for i := range quiet {
			if _, _, err := read(item(i), known[item(i)], known[item(i)]); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if shows {
			c.fresh = append(c.fresh, took)
		} else {
			c.own++
		}
		if !showsTheirs {
			c.others++
		}
		return nil
	}

	d.wire.Lap()
	last := make([]string, workers)
	errs := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() { last[w], errs[w] = d.work(ctx, r, w, round) })
	}
	all.Wait()
	if err := firstOf(errs); err != nil {
		return c, err
	}
	c.requests = float64(d.wire.Lap().Requests["get"]) / reads
	for _, written := range last { // the next one begins with a cache that is fresh
		if err := d.waiter.Wait(ctx, written); err != nil {
			return c, err
		}
	}
	return c, nil
}

// work is that of one worker. It returns the version of its last write.
func (d *fallback) work(
	ctx context.Context, r remedy, w int, after func(w int, own *corev1.ConfigMap) error,
) (written string, err error) {
	configMaps := d.clientset.CoreV1().ConfigMaps(d.ns)
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", r.id, w)}}
	for round := range rounds {
		cm = cm.DeepCopy() // what was written before may be in a MutationCache: not ours to change
		cm.Data = map[string]string{"round": strconv.Itoa(round)}
		if round == 0 {
			cm, err = configMaps.Create(ctx, cm, metav1.CreateOptions{})
		} else {
			cm, err = configMaps.Update(ctx, cm, metav1.UpdateOptions{})
		}
		if err != nil {
			return "", fmt.Errorf("write a ConfigMap of worker %d: %w", w, err)
		}
		if r.keep != nil {
			r.keep(cm)
		}
		if err := after(w, cm); err != nil {
			return "", err
		}
	}
	return cm.ResourceVersion, nil
}

// firstOf is the first error of several workers. All have the same cause.
func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func perRead(requests float64) string { return strconv.FormatFloat(requests, 'g', 2, 64) }
