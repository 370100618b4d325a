package main

import (
	"cmp"
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

// The work that every remedy is tried on: each worker writes its own ConfigMap, reads it, and reads
// some that nobody has written, again and again. The first write makes the ConfigMap, so that the
// cache misses it; the next ones find the cache with an older state.
const (
	workers = 10
	rounds  = 4
	others  = 4 // reads of ConfigMaps that nobody writes, after each write
	reads   = workers * rounds * (1 + others)
)

// cost is what a remedy did.
type cost struct {
	stale    int
	requests float64 // to the server, for each read
	fresh    lags    // of the reads after a write alone: until the answer shows it
}

// p is a percentile of the times to a fresh answer. Where some never came there is none.
func (c cost) p(percent float64) string {
	if c.stale > 0 {
		return "-"
	}
	return lesson.Duration(c.fresh.p(percent))
}

// compare tries the remedies, one after the other, on the same work.
func (d *fallback) compare(ctx context.Context, run *lesson.Run) error {
	const lag = 200 * time.Millisecond
	d.lag.Set(lag)
	defer d.lag.Set(0)

	table := [][]any{{"", "stale", "requests a read", "p50", "p99"}}
	for _, r := range d.remedies() {
		c, err := d.try(ctx, r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		d.costs = append(d.costs, c)
		table = append(table, []any{r.name, c.stale, perRead(c.requests), c.p(50), c.p(99)})
	}
	run.Say("watch events held back %s (injected)", lesson.Duration(lag))
	run.Say("%d reads each time, %d of them just after a write of the same ConfigMap.",
		reads, workers*rounds)
	run.Say("The times are those of the %d, to a fresh answer:", workers*rounds)
	run.Table(table...)
	hope, retry, wait, behind := d.costs[0], d.costs[1], d.costs[2], d.costs[3]
	if hope.stale > 0 && retry.stale+wait.stale+behind.stale == 0 {
		run.Say("Every remedy works, for time or for requests. It costs little where you know")
		run.Say("which reads need it: keep the version of what you have written.")
	}
	return nil
}

// try has all workers do their work with one remedy.
func (d *fallback) try(ctx context.Context, r remedy) (c cost, err error) {
	quiet := map[string]string{} // versions of the ConfigMaps that nobody writes here
	cached, err := d.lister.List(labels.Everything())
	if err != nil {
		return c, err
	}
	for _, cm := range cached {
		quiet[cm.Name] = cm.ResourceVersion
	}
	var mu sync.Mutex
	read := func(name, written string) error {
		start := time.Now()
		cm, err := r.read(ctx, name, written)
		took := time.Since(start)
		ok := false
		if err == nil {
			ok, err = atLeast(cm, written)
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("read ConfigMap %s: %w", name, err)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case !ok: // an older state, or none of what has been made
			c.stale++
		case quiet[name] == "": // nobody had written the others: to read those takes no remedy
			c.fresh = append(c.fresh, took)
		}
		return nil
	}

	d.wire.Lap()
	last := make([]string, workers)
	errs := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		name := fmt.Sprintf("%s-%d", r.id, w)
		all.Go(func() { last[w], errs[w] = d.work(ctx, name, quiet, read) })
	}
	all.Wait()
	if err := cmp.Or(errs...); err != nil { // the first one: they are alike
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
func (d *fallback) work(ctx context.Context, name string, quiet map[string]string,
	read func(name, written string) error,
) (written string, err error) {
	configMaps := d.clientset.CoreV1().ConfigMaps(d.ns)
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{}}
	for round := range rounds {
		cm.Data["round"] = strconv.Itoa(round)
		if round == 0 {
			cm, err = configMaps.Create(ctx, cm, metav1.CreateOptions{})
		} else {
			cm, err = configMaps.Update(ctx, cm, metav1.UpdateOptions{})
		}
		if err != nil {
			return "", fmt.Errorf("write ConfigMap %s: %w", name, err)
		}
		if err := read(name, cm.ResourceVersion); err != nil {
			return "", err
		}
		for i := range others {
			if err := read(item(i), quiet[item(i)]); err != nil {
				return "", err
			}
		}
	}
	return cm.ResourceVersion, nil
}

func perRead(requests float64) string { return strconv.FormatFloat(requests, 'g', 2, 64) }
