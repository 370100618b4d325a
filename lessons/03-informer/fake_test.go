package main

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// TestHandler tests a handler without a cluster: a fake clientset stands in for the real one. In a
// synctest bubble, Wait returns when all goroutines of the informer have nothing more to do, so the
// test needs no sleep.
func TestHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientset := fake.NewClientset(configMap("app"))
		factory := informers.NewSharedInformerFactory(clientset, 0)
		var told []string
		_, err := factory.Core().V1().ConfigMaps().TypedInformer().AddTypedEventHandler(
			corev1informers.ConfigMapHandlerFuncs{
				AddFunc: func(cm *corev1.ConfigMap) { told = append(told, cm.Name) },
			})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer factory.Shutdown() // after cancel
		defer cancel()
		factory.StartWithContext(ctx)
		synctest.Wait()

		api := clientset.CoreV1().ConfigMaps("default")
		if _, err := api.Create(ctx, configMap("new"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(told) != 2 || told[0] != "app" || told[1] != "new" {
			t.Errorf("told of %q, want app and new", told)
		}
	})
}

// TestWhatAFakeLeavesOut holds docs/03-informer.md to what client-go v0.37.2 does.
func TestWhatAFakeLeavesOut(t *testing.T) {
	t.Run("a deletion between the list and the watch", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			clientset := fake.NewClientset(configMap("gone"), configMap("changed"))
			clientset.PrependWatchReactor("configmaps", // runs after the list, before the watch
				func(clienttesting.Action) (bool, watch.Interface, error) {
					tracker := clientset.Tracker()
					changed := configMap("changed")
					changed.Data = map[string]string{"color": "red"}
					for _, err := range []error{
						tracker.Delete(resource, "default", "gone"),
						tracker.Update(resource, changed, "default"),
						tracker.Add(configMap("late")),
					} {
						if err != nil {
							t.Error(err)
						}
					}
					return false, nil, nil // and now the fake's own watch
				})
			factory := informers.NewSharedInformerFactory(clientset, 0)
			lister := factory.Core().V1().ConfigMaps().Lister().ConfigMaps("default")
			ctx, cancel := context.WithCancel(t.Context())
			defer factory.Shutdown()
			defer cancel()
			factory.StartWithContext(ctx)
			synctest.Wait()

			if _, err := lister.Get("late"); err != nil {
				t.Errorf("what was added is not told: %v", err)
			}
			if cm, err := lister.Get("changed"); err != nil || cm.Data["color"] != "red" {
				t.Errorf("what was changed is not told: %v, %v", cm, err)
			}
			if _, err := lister.Get("gone"); err != nil {
				t.Errorf("a deletion is told now: mend docs/03-informer.md (%v)", err)
			}
		})
	})

	api := fake.NewClientset().CoreV1().ConfigMaps("default")
	t.Run("versions, and so conflicts", func(t *testing.T) {
		first, err := api.Create(t.Context(), configMap("app"), metav1.CreateOptions{})
		if err != nil || first.ResourceVersion != "" {
			t.Fatalf("resourceVersion %q, %v; want none", first.ResourceVersion, err)
		}
		for _, version := range []string{"1", "999", "1"} {
			first.ResourceVersion = version
			if _, err := api.Update(t.Context(), first, metav1.UpdateOptions{}); err != nil {
				t.Errorf("an update from version %s: %v, want no error", version, err)
			}
		}
	})
	t.Run("generated names", func(t *testing.T) {
		cm := configMap("")
		cm.GenerateName = "app-"
		made, err := api.Create(t.Context(), cm, metav1.CreateOptions{})
		if err != nil || made.Name != "" {
			t.Errorf("made %q, %v; want no name", made.Name, err)
		}
	})
	t.Run("room for more than 100 unread events", func(t *testing.T) {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		other := fake.NewClientset().CoreV1().ConfigMaps("default")
		w, err := other.Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		for i := range 101 {
			_, _ = other.Create(t.Context(), configMap(strconv.Itoa(i)), metav1.CreateOptions{})
		}
	})
	t.Run("the selector of a watch", func(t *testing.T) {
		w, err := api.Watch(t.Context(), metav1.ListOptions{LabelSelector: "tier=backend"})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		_, err = api.Create(t.Context(), configMap("frontend"), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		told := map[string]bool{}
		for range 3 { // app, the one without a name, frontend
			if cm, ok := (<-w.ResultChan()).Object.(*corev1.ConfigMap); ok {
				told[cm.Name] = true
			}
		}
		if !told["frontend"] {
			t.Errorf("told of %v; want frontend as well, which the selector leaves out", told)
		}
	})
}

var resource = corev1.SchemeGroupVersion.WithResource("configmaps")

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
}
