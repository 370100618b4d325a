package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// everything keeps all ConfigMaps of the namespace, as lesson 03 does.
func (m *memory) everything(ctx context.Context, run *lesson.Run) error {
	cfg, counter := m.client()
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(m.ns))
	informer := factory.Core().V1().ConfigMaps().Informer()
	c, err := m.keep(ctx, counter, factory, informer, nil)
	if err != nil {
		return err
	}
	m.costs["everything"] = c
	m.show(run, "everything")
	if c.kept > int64(c.objects)*text {
		run.Say("Each holds %s of text. The rest is what Kubernetes and Go add.",
			wire.Bytes(text))
	}
	return nil
}

// selector keeps the objects that a selector matches. The server looks at labels, which you choose,
// and at fields: of a ConfigMap, its name and namespace alone.
func (m *memory) selector(ctx context.Context, run *lesson.Run) error {
	for _, s := range []struct{ name, label, field string }{
		{"tier=backend", "tier=backend", ""},
		{"metadata.name=bulk-007", "", "metadata.name=bulk-007"},
	} {
		cfg, counter := m.client()
		clientset, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return err
		}
		factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
			informers.WithNamespace(m.ns),
			informers.WithTweakListOptions(func(options *metav1.ListOptions) {
				options.LabelSelector, options.FieldSelector = s.label, s.field
			}))
		informer := factory.Core().V1().ConfigMaps().Informer()
		c, err := m.keep(ctx, counter, factory, informer, nil)
		if err != nil {
			return err
		}
		m.costs[s.name] = c
	}
	m.show(run, "tier=backend")
	one := m.costs["metadata.name=bulk-007"]
	run.Say("with the field selector metadata.name=bulk-007: %d object, %s came",
		one.objects, wire.Bytes(one.sent))
	if c := m.costs["tier=backend"]; c.objects == objects/every && one.objects == 1 {
		run.Say("What does not match is neither sent nor kept.")
	}
	return nil
}

// transform drops a part of each object after it has come and before it goes into the cache.
func (m *memory) transform(ctx context.Context, run *lesson.Run) error {
	for _, t := range []struct {
		name string
		drop func(cm *corev1.ConfigMap)
	}{
		{"without managedFields", func(cm *corev1.ConfigMap) { cm.ManagedFields = nil }},
		{"without text, too", func(cm *corev1.ConfigMap) {
			cm.ManagedFields = nil
			delete(cm.Data, "text")
		}},
	} {
		cfg, counter := m.client()
		clientset, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return err
		}
		factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
			informers.WithNamespace(m.ns),
			informers.WithTransform(func(obj any) (any, error) {
				if cm, ok := obj.(*corev1.ConfigMap); ok { // never assert it unchecked
					t.drop(cm)
				}
				return obj, nil
			}))
		informer := factory.Core().V1().ConfigMaps().Informer()
		c, err := m.keep(ctx, counter, factory, informer, nil)
		if err != nil {
			return err
		}
		m.costs[t.name] = c
	}
	m.show(run, "without managedFields", "without text, too")
	if c := m.costs["without text, too"]; c.sent > int64(c.objects)*text && c.each() < text {
		run.Say("All of it was sent, and a part is kept. Never write back such an object by an")
		run.Say("Update: what the transform dropped would be gone on the server as well.")
	}
	return nil
}
