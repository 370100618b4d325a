package main

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/informers"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
)

// localCopy is a factory for the lesson's namespace, with the informer that it makes for
// ConfigMaps. Most steps make one, add their handlers, start it, and stop it at their end.
type localCopy struct {
	factory    informers.SharedInformerFactory
	configMaps corev1informers.TypedConfigMapInformer
	running    context.Context // as long as the informer runs
	cancel     context.CancelCauseFunc
}

func (s *shared) newCopy(
	ctx context.Context, clientset kubernetes.Interface, resync time.Duration,
	options ...informers.SharedInformerOption,
) *localCopy {
	c := &localCopy{}
	c.factory = informers.NewSharedInformerFactoryWithOptions(clientset, resync,
		append(options, informers.WithNamespace(s.ns))...)
	c.configMaps = c.factory.Core().V1().ConfigMaps()
	c.running, c.cancel = context.WithCancelCause(ctx)
	return c
}

// start returns when the copy is there. Handlers may have to be told of it then: their
// registrations know.
func (c *localCopy) start() error {
	informer := c.configMaps.Informer() // start runs the informers that were asked for by then
	if err := informer.SetWatchErrorHandlerWithContext(giveUp(c.cancel)); err != nil {
		return err
	}
	c.factory.StartWithContext(c.running) // returns at once, as Start(stopCh) does
	return c.factory.WaitForCacheSyncWithContext(c.running).AsError()
}

// stop ends the informer and waits for that.
func (c *localCopy) stop() {
	c.cancel(nil)
	c.factory.Shutdown()
}

// giveUp ends the waiting where trying again cannot help: the server says that this user may not
// list or watch, or the server shows a certificate that the kubeconfig does not trust. An informer
// tries again for ever, and whoever waits for its sync hangs.
//
// After the sync, a refusal may pass: a server that has just started answers 403 to everybody until
// it has read its roles. So giveUp waits some seconds then.
//
// An informer has one handler for watch errors. This one takes the place of client-go's, so it
// hands on what it does not deal with: else nobody would hear of those errors.
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

// why makes a step that works with the shared copy say why the copy has ended, if it has: whatever
// goes wrong after that has this cause.
func (s *shared) why(
	step func(context.Context, *lesson.Run) error,
) func(context.Context, *lesson.Run) error {
	return func(ctx context.Context, run *lesson.Run) error {
		err := step(ctx, run)
		if s.copy == nil {
			return err
		}
		if cause := context.Cause(s.copy.running); err != nil && cause != nil {
			return cause
		}
		return err
	}
}

// ours tells the lesson's ConfigMaps from those that the cluster adds: kube-root-ca.crt, and on
// some clusters more of them, at any moment.
func ours(cm *corev1.ConfigMap) bool { return cm.Labels["lesson"] == "03" }
