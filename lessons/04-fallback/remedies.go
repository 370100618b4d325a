package main

import (
	"context"
	"errors"
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
	keep func(cm *corev1.ConfigMap) // is given what each write returned, if it is set
}

func (d *fallback) remedies() []remedy {
	return []remedy{
		{id: "cache", name: "the cache, nothing else", read: d.cacheAlone},
		{id: "retry", name: "look again, with backoff", read: d.lookAgain},
		{id: "wait", name: "wait for the written version", read: d.waitForWrite},
		{id: "keep", name: "keep your writes: MutationCache", read: d.ownWrites,
			keep: func(cm *corev1.ConfigMap) { d.mutations.Mutation(cm) }},
		{id: "behind", name: "live if the cache is behind", read: d.liveIfBehind},
		{id: "live", name: "always live", read: d.live},
	}
}

// cacheAlone takes what the cache has. That is right for a controller that looks at the whole state
// each time it is called, and is called again by the event that is still to come.
func (d *fallback) cacheAlone(_ context.Context, name, _ string) (*corev1.ConfigMap, error) {
	return d.lister.Get(name)
}

// lookAgain looks after 10, 20, 40 ms and so on: cheap, but it looks at the wrong moments, so an
// answer takes up to twice as long as the lag. (wait.PollUntilContextTimeout looks in even steps.)
func (d *fallback) lookAgain(ctx context.Context, name, written string) (*corev1.ConfigMap, error) {
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

// waitForWrite is woken up by the event itself. The store has a version of its own, which says up
// to where it has seen everything; package fresh waits until that has reached the written version.
// With an informer that has a selector, do so for objects that match it only.
func (d *fallback) waitForWrite(
	ctx context.Context, name, written string,
) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := d.waiter.Wait(ctx, written); err != nil {
		return nil, err
	}
	return d.lister.Get(name)
}

// ownWrites reads client-go's MutationCache. It was given the object that each write returned, and
// answers with the newer one of that and of the informer's. It keeps the last 100 such objects, for
// a time that you choose.
func (d *fallback) ownWrites(_ context.Context, name, _ string) (*corev1.ConfigMap, error) {
	obj, ok, err := d.mutations.GetByKey(d.ns + "/" + name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("configmaps"), name)
	}
	cm, ok := obj.(*corev1.ConfigMap)
	if !ok {
		return nil, errors.New("the cache holds something that is no ConfigMap")
	}
	return cm, nil
}

// liveIfBehind asks the server only if the cache cannot know: on a miss, and on a stale hit.
func (d *fallback) liveIfBehind(
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
	return d.live(ctx, name, written)
}

// live always asks the server, which answers with the state of now: resourceVersion "" in the
// options means that nothing older will do. Of the six, only this one shows what others wrote.
func (d *fallback) live(ctx context.Context, name, _ string) (*corev1.ConfigMap, error) {
	return d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, name, metav1.GetOptions{})
}
