package main

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
)

// grace is how long a cache that has synced may be refused news.
const grace = 5 * time.Second

// giveUp ends the waiting where trying again cannot help: the server says that this user may not
// list or watch, or it shows a certificate that the kubeconfig does not trust. The informer itself
// would try again for ever, and whoever waits for its sync would hang and not know why.
//
// After the sync it is not so simple. A server that has just started answers 403 to anybody, until
// it has read its roles: an informer that gives up then dies of a restart that it would survive.
// But a user who may list and not watch is refused only after the sync, and would never be told.
// So it gives up when it is still refused some seconds later.
func giveUp(cancel context.CancelCauseFunc) cache.WatchErrorHandlerWithContext {
	var first, latest time.Time // refusal of those that came close together
	return func(ctx context.Context, reflector *cache.Reflector, err error) {
		if stranger := (x509.UnknownAuthorityError{}); errors.As(err, &stranger) {
			cancel(err)
			return
		}
		if !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
			// This handler takes the place of client-go's own, which logs the error.
			cache.DefaultWatchErrorHandler(ctx, reflector, err)
			return
		}
		now := time.Now()
		if now.Sub(latest) > 8*time.Second { // retries come closer than that, at first
			first = now
		}
		latest = now
		synced := reflector.LastSyncResourceVersion() != ""
		if !synced || now.Sub(first) > grace {
			cancel(err)
		}
	}
}

// why makes a step say why it failed, when the informer of step 1 has given up: whatever goes wrong
// then comes of that.
func (s *shared) why(
	step func(context.Context, *lesson.Run) error,
) func(context.Context, *lesson.Run) error {
	return func(ctx context.Context, run *lesson.Run) error {
		err := step(ctx, run)
		if cause := context.Cause(s.running); err != nil && cause != nil {
			return cause
		}
		return err
	}
}
