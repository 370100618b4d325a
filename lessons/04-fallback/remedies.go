package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// remedy reads a ConfigMap after a write that was answered with the resourceVersion written. What
// a controller must keep for that is one version for each object that it has written.
type remedy struct {
	id   string // begins the names of the ConfigMaps that it is tried on
	name string
	read func(ctx context.Context, name, written string) (*corev1.ConfigMap, error)
}

func (d *fallback) remedies() []remedy {
	return []remedy{
		{"hope", "read the cache and hope", d.hope},
		{"retry", "retry with backoff, 5 s at most", d.retry},
		{"wait", "wait for the written version", d.wait},
		{"behind", "read live if the cache is behind", d.liveWhenBehind},
		{"live", "always read live", d.live},
	}
}

// hope takes what the cache has. That is right for a controller that looks at the whole state each
// time it is called, and is called again by the event that is still to come.
func (d *fallback) hope(_ context.Context, name, _ string) (*corev1.ConfigMap, error) {
	return d.lister.Get(name)
}

// retry looks again after 10, 20, 40 ms and so on: cheap, but it looks at the wrong moments, so an
// answer takes up to twice as long as the lag. (wait.PollUntilContextTimeout looks in even steps.)
func (d *fallback) retry(ctx context.Context, name, written string) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var cm *corev1.ConfigMap
	backoff := wait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 10}
	err := wait.ExponentialBackoffWithContext(ctx, backoff, func(context.Context) (bool, error) {
		var err error
		cm, err = d.lister.Get(name)
		if apierrors.IsNotFound(err) {
			return false, nil // written, so it will come
		}
		if err != nil {
			return false, err
		}
		return atLeast(cm, written)
	})
	return cm, err
}

// wait is woken up by the event itself. The store has a version of its own, which says up to where
// it has seen everything; package fresh waits for that to reach the written one. With an informer
// that has a selector, do so for objects that match it only.
func (d *fallback) wait(ctx context.Context, name, written string) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := d.waiter.Wait(ctx, written); err != nil {
		return nil, err
	}
	return d.lister.Get(name)
}

// liveWhenBehind asks the server only if the cache cannot know: on a miss, and on a stale hit.
func (d *fallback) liveWhenBehind(
	ctx context.Context, name, written string,
) (*corev1.ConfigMap, error) {
	cached, err := d.lister.Get(name)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	if err == nil {
		if ok, err := atLeast(cached, written); ok || err != nil {
			return cached, err
		}
	}
	return d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, name, metav1.GetOptions{})
}

// live always asks the server, which answers with the state of now: resourceVersion "" in the
// options means that nothing older will do. Only that is sure to show what others have written.
func (d *fallback) live(ctx context.Context, name, _ string) (*corev1.ConfigMap, error) {
	return d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, name, metav1.GetOptions{})
}
