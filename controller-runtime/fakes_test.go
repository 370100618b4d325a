package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubernetesfake "k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// TestFakes: what docs/beyond.md says of the two fakes. Both keep objects in memory, without a
// server.
func TestFakes(t *testing.T) {
	t.Run("the fake clientset knows no versions", func(t *testing.T) {
		configMaps := kubernetesfake.NewClientset(configMap("app", "here")).CoreV1().ConfigMaps("here")
		before, err := configMaps.Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, color := range []string{"blue", "red"} { // twice from the same state
			cm := before.DeepCopy()
			cm.Data = map[string]string{"color": color}
			if _, err := configMaps.Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
				t.Errorf("%s: %v", color, err)
			}
		}
	})
	t.Run("controller-runtime's fake client refuses an old version", func(t *testing.T) {
		c := fake.NewClientBuilder().WithObjects(configMap("app", "here")).Build()
		before := &corev1.ConfigMap{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "here", Name: "app"}, before); err != nil {
			t.Fatal(err)
		}
		first, second := before.DeepCopy(), before.DeepCopy()
		first.Data, second.Data = map[string]string{"color": "blue"}, map[string]string{"color": "red"}
		if err := c.Update(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		if err := c.Update(t.Context(), second); !apierrors.IsConflict(err) {
			t.Errorf("want a conflict, got %v", err)
		}
	})
	t.Run("neither deletes children", func(t *testing.T) {
		c := fake.NewClientBuilder().WithObjects(configMap("app", "here")).Build()
		app := &corev1.ConfigMap{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "here", Name: "app"}, app); err != nil {
			t.Fatal(err)
		}
		s := &summarizer{c, c}
		if err := s.write(t.Context(), app, c); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		child := client.ObjectKey{Namespace: "here", Name: "app-summary"}
		if err := c.Get(t.Context(), child, &corev1.ConfigMap{}); err != nil {
			t.Errorf("the child is gone: %v", err)
		}
	})
}
