//go:build race

package docs_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	_ "unsafe" // for go:linkname

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

// processorRuns is client-go's own hook for tests: it is called before an informer lets its handlers
// run.
//
//go:linkname processorRuns k8s.io/client-go/tools/cache.sharedProcessorRunHook
var processorRuns atomic.Pointer[func()]

// TestLateHandler shows what docs/03-informer.md says of client-go v0.37.2: the registration of a
// first handler, added when the informer has synced and does not yet let handlers run, may be done
// before the handler was told of all; not so if another handler was there from the start. It needs
// the race detector, which has goroutines take their turns in any order. A client-go in which the
// first half fails is mended: then take the handler out of lesson 03's step fill.
func TestLateHandler(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer processorRuns.Store(nil)
	const tries = 200
	if early := toldTooLittle(t, tries, false); early == 0 {
		t.Errorf("in %d tries no registration was done too early: is client-go mended?", tries)
	} else {
		t.Logf("%d of %d registrations were done too early", early, tries)
	}
	if early := toldTooLittle(t, tries, true); early > 0 {
		t.Errorf("%d of %d registrations were done too early, though there was a handler from the start", early, tries)
	}
}

// toldTooLittle counts the late handlers that were told of less than there is when they were said
// to have been told.
func toldTooLittle(t *testing.T, tries int, another bool) (early int) {
	t.Helper()
	const objects = 7
	for range tries {
		client := fake.NewClientset()
		for i := range objects {
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("cm-", i), Namespace: "ns"}}
			if err := client.Tracker().Add(cm); err != nil {
				t.Fatal(err)
			}
		}
		adding := make(chan struct{})
		wait := func() { <-adding }
		if another { // without handlers to tell, an informer syncs all the same; with one it waits
			wait = func() {}
		}
		processorRuns.Store(&wait)
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		informer := factory.Core().V1().ConfigMaps().Informer()
		if another {
			if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{}); err != nil {
				t.Fatal(err)
			}
		}
		factory.StartWithContext(ctx)
		if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
			t.Fatal(err)
		}
		close(adding)
		var told atomic.Int64
		registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { told.Add(1) },
		})
		if err != nil {
			t.Fatal(err)
		}
		cache.WaitFor(ctx, "", registration.HasSyncedChecker())
		if told.Load() < objects {
			early++
		}
		cancel()
		factory.Shutdown()
	}
	return early
}
