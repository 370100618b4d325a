// Package fresh waits until an informer's cache has caught up with a write, so that what is read
// from the cache next shows what was just written, at the price of no request.
//
//	waiter, err := fresh.NewWaiter(informer) // once for each informer, best before it is started
//	...
//	written, err := clientset.CoreV1().ConfigMaps(ns).Update(ctx, cm, metav1.UpdateOptions{})
//	...
//	err = waiter.Wait(ctx, written.ResourceVersion)
//	...
//	cached, err := lister.ConfigMaps(ns).Get(written.Name) // shows that update, or a later state
//
// The package is one file that depends on client-go alone. Copy it into your controller.
//
// # How it knows
//
// An informer's store has a resourceVersion of its own, LastStoreSyncResourceVersion. The store
// changes this version together with the objects, under one lock. Events arrive in the order of the
// writes. So once the store's version has reached the version of a write, the store has that write.
// Do not take SharedInformer.LastSyncResourceVersion for this: it tells how far the watch has been
// read, which may be further than what is in the store.
//
// # What it cannot do
//
//   - One type of resource only. Give a Waiter the version of an object of its informer's type.
//     Versions of different resources cannot be compared.
//   - An informer with a selector, or of one namespace, sees nothing of the objects outside. Its
//     store passes the version of such a write with the next event that it does see, or with the
//     next bookmark, which the server sends about once a minute.
//   - It shows your own write. What others have written since is not promised: for that, read live.
//     Or ask the server for the current version (a List with Limit 1) and wait for that version.
//     That version is the whole cluster's. If nothing changes that the informer sees, Wait returns
//     with the next bookmark.
//   - A Delete answers without the version at which the object went away. There is nothing to wait
//     for; look for the object's UID in the cache, or read live.
//   - It needs client-go 0.36 or later, with the feature AtomicFIFO on, as it is by default. Else
//     the store has no version, and Wait returns [ErrNoVersion]. Wait also returns ErrNoVersion if
//     objects carry no resourceVersion: with a fake clientset, or with a transform that removes it.
package fresh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"
)

var (
	// ErrNoVersion says that there is nothing to compare: the version to wait for is "", or the
	// informer's store has none.
	ErrNoVersion = errors.New("no resourceVersion to compare with")
	// ErrStopped says that the informer has been stopped, so that its store changes no more.
	ErrStopped = errors.New("the informer was stopped")
)

// Reached tells whether the store has all that was written up to this resourceVersion. It never
// waits: use it to decide between the cache and a live read. A store that has no version has reached
// none. The error is [ErrNoVersion] if resourceVersion is "". Any other error says that no object
// can have this resourceVersion, such as "0".
func Reached(store cache.Store, resourceVersion string) (bool, error) {
	if resourceVersion == "" {
		return false, ErrNoVersion
	}
	at := store.LastStoreSyncResourceVersion()
	if at == "" { // not synced yet, or it never has one
		_, err := resourceversion.CompareResourceVersion(resourceVersion, resourceVersion)
		return false, err
	}
	order, err := resourceversion.CompareResourceVersion(at, resourceVersion)
	return order >= 0 && err == nil, err
}

// look is how often Wait looks by itself. Events wake it up at once. Without looking it would miss
// two things that handlers are not told of: a bookmark, which comes about once a minute, and the end
// of the informer.
const look = time.Second

// Waiter waits for one informer's store. Its methods can be called from several goroutines.
type Waiter struct {
	informer     cache.SharedInformer
	registration cache.ResourceEventHandlerRegistration

	mu      sync.Mutex
	waiting map[chan struct{}]string // to be closed when the store has reached that version
}

// NewWaiter adds a handler to the informer, which does next to nothing while nobody waits. Close
// removes it.
func NewWaiter(informer cache.SharedInformer) (*Waiter, error) {
	w := &Waiter{informer: informer, waiting: map[chan struct{}]string{}}
	var err error
	w.registration, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { w.wake() },
		UpdateFunc: func(any, any) { w.wake() },
		DeleteFunc: func(any) { w.wake() },
	})
	if err != nil {
		return nil, fmt.Errorf("add a handler to the informer: %w", err)
	}
	return w, nil
}

// Close removes the handler and returns when the handler no longer runs. Calls of Wait that are
// under way go on: they look once a second.
func (w *Waiter) Close() error {
	return cache.ShutDownEventHandler(w.informer, w.registration)
}

// Wait returns nil as soon as the informer's store has all that was written up to this
// resourceVersion, and at once if it has it already. It gives up when ctx ends, with an error that
// wraps ctx.Err(): give ctx a deadline that you can afford, and read live when it has passed.
func (w *Waiter) Wait(ctx context.Context, resourceVersion string) error {
	if done, err := w.done(resourceVersion); done || err != nil {
		return err
	}
	reached := make(chan struct{})
	w.mu.Lock()
	w.waiting[reached] = resourceVersion
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.waiting, reached)
		w.mu.Unlock()
	}()

	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		// Not before w.waiting has this call: the store may get there at any moment.
		if done, err := w.done(resourceVersion); done || err != nil {
			return err
		}
		select {
		case <-reached:
			return nil
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the cache to reach resourceVersion %s, it is at %q: %w",
				resourceVersion, w.informer.GetStore().LastStoreSyncResourceVersion(), ctx.Err())
		}
	}
}

// done tells whether the store has got there. Its error says why waiting makes no sense.
func (w *Waiter) done(resourceVersion string) (bool, error) {
	// These come first: once they are true, they stay true while the store is looked at.
	stopped, synced := w.informer.IsStopped(), w.informer.HasSynced()
	reached, err := Reached(w.informer.GetStore(), resourceVersion)
	switch {
	case err != nil:
		return false, fmt.Errorf("wait for resourceVersion %q: %w", resourceVersion, err)
	case reached:
		return true, nil
	case synced && w.informer.GetStore().LastStoreSyncResourceVersion() == "":
		return false, ErrNoVersion
	case stopped:
		return false, ErrStopped
	}
	return false, nil
}

// wake runs after the store has been written, for each event.
func (w *Waiter) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		return
	}
	at := w.informer.GetStore().LastStoreSyncResourceVersion()
	for reached, resourceVersion := range w.waiting {
		// An error can only be that the store has no version, and Wait finds that by looking.
		order, err := resourceversion.CompareResourceVersion(at, resourceVersion)
		if order >= 0 && err == nil {
			close(reached)
			delete(w.waiting, reached)
		}
	}
}
