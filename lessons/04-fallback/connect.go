package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"client-go-lessons/fresh"
	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// fallback is what the steps share.
type fallback struct {
	config    *rest.Config
	clientset *kubernetes.Clientset
	wire      *wire.Counter
	lag       *wire.Lag // makes watch events late, or holds them back: injected
	ns        string

	running  context.Context // as long as the informer runs
	stop     context.CancelCauseFunc
	factory  informers.SharedInformerFactory
	informer cache.SharedIndexInformer
	lister   corelisters.ConfigMapNamespaceLister
	waiter   *fresh.Waiter

	mutations cache.MutationCache // for step remedies

	natural lags            // measured in step race
	costs   map[string]cost // measured in step remedies, by id
}

// connect makes a clientset for writing and for live reads, and a lister as in lesson 03. A live
// read is one that goes to the server; every other read in this lesson is one from the cache.
func (d *fallback) connect(ctx context.Context, run *lesson.Run) (err error) {
	cfg := rest.CopyConfig(run.Config)
	cfg.QPS = -1                   // no client-side rate limit: it would hide what is measured here
	cfg.DisableCompression = true  // so that the sizes that are printed are those on the wire
	d.wire = wire.Count(cfg)       // what goes over the wire from here on is counted
	d.lag = wire.DelayWatches(cfg) // none until a step says so
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
	// A MutationCache is put on top of the informer's store; it logs to nobody here.
	d.mutations = cache.NewIntegerResourceVersionMutationCacheWithOptions(klog.Logger{},
		d.informer.GetStore(), cache.MutationCacheOptions{IncludeAdds: true})
	d.costs = map[string]cost{}

	ctx, d.stop = context.WithCancelCause(ctx)
	d.running = ctx
	if err := d.informer.SetWatchErrorHandlerWithContext(giveUp(d.stop)); err != nil {
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

// giveUp is that of lesson 03, copy.go: without it, a user who may not list or watch would wait for
// the cache for ever. All other errors go to client-go's own handler.
func giveUp(cancel context.CancelCauseFunc) cache.WatchErrorHandlerWithContext {
	const (
		patience = 5 * time.Second // with a copy that has synced
		apart    = 8 * time.Second // refusals that follow each other come closer than that
	)
	var first, latest time.Time // refusal of those that follow each other
	return func(ctx context.Context, reflector *cache.Reflector, err error) {
		if untrusted := (x509.UnknownAuthorityError{}); errors.As(err, &untrusted) {
			cancel(err)
			return
		}
		if !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
			cache.DefaultWatchErrorHandler(ctx, reflector, err)
			return
		}
		now := time.Now()
		if now.Sub(latest) > apart {
			first = now
		}
		latest = now
		synced := reflector.LastSyncResourceVersion() != ""
		if !synced || now.Sub(first) > patience {
			cancel(err)
		}
	}
}

// why makes a step say why it failed, when the informer has given up: whatever goes wrong after
// that has this cause.
func (d *fallback) why(
	step func(context.Context, *lesson.Run) error,
) func(context.Context, *lesson.Run) error {
	return func(ctx context.Context, run *lesson.Run) error {
		err := step(ctx, run)
		if cause := context.Cause(d.running); err != nil && cause != nil {
			return cause
		}
		return err
	}
}
