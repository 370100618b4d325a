package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"

	"client-go-lessons/fresh"
)

// waitWithSelector checks, on the real server, what package fresh says that it can and cannot do:
// with an informer that has a selector, Wait sees a write of an object that matches, and does not
// see one of an object outside until a later event moves the store past it.
func waitWithSelector(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ns, err := lab.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "client-go-lessons-e2e-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = lab.client.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{})
	})
	factory := informers.NewSharedInformerFactoryWithOptions(lab.client, 0,
		informers.WithNamespace(ns.Name),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = "seen=yes" }))
	informer := factory.Core().V1().ConfigMaps().Informer()
	waiter, err := fresh.NewWaiter(informer)
	if err != nil {
		t.Fatal(err)
	}
	watching, stop := context.WithCancel(ctx)
	defer factory.Shutdown()
	defer stop()
	factory.StartWithContext(watching)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		t.Fatal(err)
	}

	write := func(name, seen string) *corev1.ConfigMap {
		t.Helper()
		cm, err := lab.client.CoreV1().ConfigMaps(ns.Name).Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"seen": seen}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return cm
	}
	wait := func(cm *corev1.ConfigMap, d time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return waiter.Wait(ctx, cm.ResourceVersion)
	}
	inside, outside := write("inside", "yes"), write("outside", "no")
	if err := wait(inside, 10*time.Second); err != nil {
		t.Errorf("a write that the informer sees: %v", err)
	}
	if _, ok, err := informer.GetStore().Get(inside); !ok || err != nil {
		t.Errorf("waited for, and not in the store: %v, %v", ok, err)
	}
	if err := wait(outside, 300*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a write that the informer does not see: want the deadline, got %v", err)
	}
	write("later", "yes")
	if err := wait(outside, 10*time.Second); err != nil {
		t.Errorf("a write before one that the informer sees: %v", err)
	}
}
