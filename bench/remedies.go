package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"

	"client-go-lessons/bench/internal/result"
)

// remedy is one of lesson 04's: it reads a ConfigMap after a write that was answered with the
// resourceVersion written. gets counts its requests.
type remedy struct {
	id, name string
	read     func(ctx context.Context, name, written string, gets *atomic.Int64) (*corev1.ConfigMap, error)
}

const waitRemedy = "wait for the written version"

func (c *chase) remedies() []remedy {
	live := func(ctx context.Context, name, _ string, gets *atomic.Int64) (*corev1.ConfigMap, error) {
		gets.Add(1)
		return c.client.CoreV1().ConfigMaps(c.ns).Get(ctx, name, metav1.GetOptions{})
	}
	return []remedy{
		{"hope", "read the cache and hope", func(_ context.Context, name, _ string, _ *atomic.Int64) (*corev1.ConfigMap, error) {
			return c.lister.Get(name)
		}},
		{"retry", "retry with backoff", c.retry},
		{"wait", waitRemedy, func(ctx context.Context, name, written string, _ *atomic.Int64) (*corev1.ConfigMap, error) {
			if err := c.waiter.Wait(ctx, written); err != nil {
				return nil, err
			}
			return c.lister.Get(name)
		}},
		{"behind", "read live if the cache is behind", func(ctx context.Context, name, written string, gets *atomic.Int64) (*corev1.ConfigMap, error) {
			cached, err := c.lister.Get(name)
			if err != nil && !apierrors.IsNotFound(err) {
				return nil, err
			}
			if err == nil {
				if ok, err := atLeast(cached, written); ok || err != nil {
					return cached, err
				}
			}
			return live(ctx, name, written, gets)
		}},
		{"live", "always read live", live},
	}
}

func (c *chase) retry(ctx context.Context, name, written string, _ *atomic.Int64) (*corev1.ConfigMap, error) {
	var cm *corev1.ConfigMap
	backoff := wait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 10}
	err := wait.ExponentialBackoffWithContext(ctx, backoff, func(context.Context) (bool, error) {
		var err error
		cm, err = c.lister.Get(name)
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return atLeast(cm, written)
	})
	return cm, err
}

func atLeast(cm *corev1.ConfigMap, written string) (bool, error) {
	order, err := resourceversion.CompareResourceVersion(cm.ResourceVersion, written)
	return order >= 0 && err == nil, err
}

// tried is what a remedy has done so far.
type tried struct {
	reads, stale int
	requests     int64
	answers      *result.Recorder
}

func newTried() *tried { return &tried{answers: result.NewRecorder()} }

// The work of a worker, as in lesson 04: write its own ConfigMap, read it, read others, again.
const (
	turns  = 4
	others = 4
)

// try has that many workers do their work with one remedy.
func (c *chase) try(ctx context.Context, r remedy, workers int, t *tried) error {
	var mu sync.Mutex
	var gets atomic.Int64
	read := func(name, written string) error {
		start := time.Now()
		cm, err := r.read(ctx, name, written, &gets)
		took := time.Since(start)
		ok := false
		if err == nil {
			ok, err = atLeast(cm, written)
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s: read ConfigMap %s: %w", r.name, name, err)
		}
		mu.Lock()
		defer mu.Unlock()
		t.answers.Add(took)
		t.reads++
		if !ok {
			t.stale++
		}
		return nil
	}
	quiet := map[string]string{} // at least these versions are in the cache, whoever writes on
	for i := range others {
		cm, err := c.lister.Get(item(i))
		if err != nil {
			return err
		}
		quiet[cm.Name] = cm.ResourceVersion
	}
	last, errs := make([]string, workers), make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() { last[w], errs[w] = c.work(ctx, fmt.Sprintf("%s-%d", r.id, w), quiet, read) })
	}
	all.Wait()
	t.requests += gets.Load()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, written := range last { // the next one begins with a cache that is fresh
		if err := c.waiter.Wait(ctx, written); err != nil {
			return err
		}
	}
	return nil
}

// work is that of one worker. It returns the version of its last write.
func (c *chase) work(ctx context.Context, name string, quiet map[string]string,
	read func(name, written string) error,
) (written string, err error) {
	api := c.client.CoreV1().ConfigMaps(c.ns)
	_, err = c.lister.Get(name)
	made := err == nil // in an earlier round
	for range turns {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name},
			Data: map[string]string{"at": strconv.FormatInt(time.Now().UnixNano(), 10)}}
		if made {
			cm, err = api.Update(ctx, cm, metav1.UpdateOptions{})
		} else {
			cm, err = api.Create(ctx, cm, metav1.CreateOptions{})
		}
		if err != nil {
			return "", fmt.Errorf("write ConfigMap %s: %w", name, err)
		}
		made = true
		if err := read(name, cm.ResourceVersion); err != nil {
			return "", err
		}
		for i := range others {
			if err := read(item(i), quiet[item(i)]); err != nil {
				return "", err
			}
		}
		written = cm.ResourceVersion
	}
	return written, nil
}
