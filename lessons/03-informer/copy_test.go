package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

var errForbidden = apierrors.NewForbidden(resource.GroupResource(), "", errors.New("no"))

// TestGiveUp: an error that trying again cannot mend ends the waiting. Every other error is handed
// on to client-go's own handler, which tells of it.
func TestGiveUp(t *testing.T) {
	was := utilruntime.ErrorHandlers
	defer func() { utilruntime.ErrorHandlers = was }()
	for _, c := range []struct {
		err           error
		ends, handsOn bool
	}{
		{err: errForbidden, ends: true},
		{err: apierrors.NewUnauthorized("who"), ends: true},
		{err: fmt.Errorf("get: %w", x509.UnknownAuthorityError{}), ends: true},
		{err: apierrors.NewInternalError(errors.New("unwell")), handsOn: true},
	} {
		handedOn := false
		utilruntime.ErrorHandlers = []utilruntime.ErrorHandler{
			func(context.Context, error, string, ...any) { handedOn = true }}
		ctx, cancel := context.WithCancelCause(t.Context())
		reflector := cache.NewReflector(&cache.ListWatch{}, &corev1.ConfigMap{},
			cache.NewStore(cache.MetaNamespaceKeyFunc), 0)
		giveUp(cancel)(ctx, reflector, c.err)
		if ended := context.Cause(ctx) != nil; ended != c.ends || handedOn != c.handsOn {
			t.Errorf("%v: ended %t, handed on %t; want %t, %t",
				c.err, ended, handedOn, c.ends, c.handsOn)
		}
		cancel(nil)
	}
}

// TestGiveUpAfterTheSync: a server that has just started refuses everybody for a moment.
func TestGiveUpAfterTheSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		handle, reflector := giveUp(cancel), synced(t)
		for range 5 {
			handle(ctx, reflector, errForbidden)
			time.Sleep(time.Minute) // it passed
		}
		for range 4 {
			handle(ctx, reflector, errForbidden)
			time.Sleep(time.Second)
		}
		if err := context.Cause(ctx); err != nil {
			t.Fatalf("gave up already: %v", err)
		}
		time.Sleep(2 * time.Second)
		handle(ctx, reflector, errForbidden)
		if context.Cause(ctx) == nil {
			t.Error("did not give up, refused for seven seconds")
		}
	})
}

// synced returns a reflector that has listed once.
func synced(t *testing.T) *cache.Reflector {
	t.Helper()
	lw := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: "10"}}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			return watch.NewFake(), nil
		},
	}, noStreams{})
	reflector := cache.NewReflector(lw, &corev1.ConfigMap{},
		cache.NewStore(cache.MetaNamespaceKeyFunc), 0)
	ctx, cancel := context.WithCancel(t.Context())
	go reflector.RunWithContext(ctx)
	synctest.Wait()
	cancel()
	return reflector
}

type noStreams struct{}

func (noStreams) IsWatchListSemanticsUnSupported() bool { return true }
