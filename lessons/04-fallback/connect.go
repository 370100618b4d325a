package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/fresh"
	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// fallback is what the steps share.
type fallback struct {
	config    *rest.Config
	clientset *kubernetes.Clientset
	wire      *wire.Counter
	lag       *wire.Lag  // makes watch events late: injected, none unless a step says so
	gate      *wire.Gate // holds watch events back: injected, open unless a step says so
	ns        string

	stop     context.CancelCauseFunc
	factory  informers.SharedInformerFactory
	informer cache.SharedIndexInformer
	lister   corelisters.ConfigMapNamespaceLister
	waiter   *fresh.Waiter

	natural lags   // measured in step 1
	costs   []cost // measured in step 3
}

// connect makes a clientset for writing and for live reads, and a lister as in lesson 03. A live
// read is one that goes to the server; every other read in this lesson is one from the cache.
func (d *fallback) connect(ctx context.Context, run *lesson.Run) (err error) {
	cfg := rest.CopyConfig(run.Config)
	cfg.QPS = -1                   // no client-side rate limit: it would hide what is measured here
	d.wire = wire.Count(cfg)       // what goes over the wire from here on is counted
	d.gate = wire.HoldWatches(cfg) // lets everything through until step 4
	d.lag = wire.DelayWatches(cfg) // no delay until step 2
	d.config, d.ns = run.Config, run.Namespace
	d.clientset, err = kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}

	d.factory = informers.NewSharedInformerFactoryWithOptions(d.clientset, 0,
		informers.WithNamespace(d.ns))
	configMaps := d.factory.Core().V1().ConfigMaps()
	d.informer = configMaps.Informer()
	d.lister = configMaps.Lister().ConfigMaps(d.ns)
	d.waiter, err = fresh.NewWaiter(d.informer) // package fresh: made to be copied
	if err != nil {
		return err
	}
	ctx, d.stop = context.WithCancelCause(ctx)
	// As in lesson 03: without this, a user who may not watch would wait for the sync for ever.
	// Once it has synced, a 403 may pass: a server that has just started gives it to anybody.
	err = d.informer.SetWatchErrorHandlerWithContext(
		func(_ context.Context, reflector *cache.Reflector, err error) {
			synced := reflector.LastSyncResourceVersion() != ""
			if !synced && (apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)) {
				d.stop(err)
			}
		})
	if err != nil {
		return err
	}
	d.factory.StartWithContext(ctx)
	if err := d.factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return fmt.Errorf("sync the cache: %w", err)
	}
	d.wire.Lap() // the steps count from here
	return nil
}

// close ends the informer, before the namespace goes.
func (d *fallback) close() {
	if d.stop == nil {
		return // it never started
	}
	d.stop(nil)
	d.factory.Shutdown() // returns when the informer and its handlers have ended
}
