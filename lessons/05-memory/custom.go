package main

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"

	"client-go-lessons/internal/lesson"
)

// custom adds a resource of its own to the server, widgets, and reads it by a dynamic informer. The
// definition belongs to the lesson's namespace, so it goes with the namespace.
func (m *memory) custom(ctx context.Context, run *lesson.Run) error {
	err := m.widgets(ctx, run)
	if apierrors.IsForbidden(err) {
		run.Say("Skipped: this user may not add a resource to the server, or not read it.")
		return nil
	}
	return err
}

func (m *memory) widgets(ctx context.Context, run *lesson.Run) error {
	cfg, counter := m.client()
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	// A group of this run's own: two lessons that run at the same time do not meet.
	widgets := schema.GroupVersionResource{
		Group: m.ns + ".example.com", Version: "v1", Resource: "widgets"}
	if err := m.define(ctx, client, widgets); err != nil {
		return err
	}
	for i := range 3 {
		if err := m.createWidget(ctx, client, widgets, i); err != nil {
			return err
		}
	}

	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, m.ns, nil)
	informer := factory.ForResource(widgets).Informer()
	lister := factory.ForResource(widgets).Lister()
	_, err = m.keep(ctx, counter, factory, informer, func() error {
		obj, err := lister.ByNamespace(m.ns).Get("widget-1")
		if err != nil {
			return fmt.Errorf("get widget-1 from the cache: %w", err)
		}
		widget, ok := obj.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("the cache holds a %T", obj)
		}
		size, found, err := unstructured.NestedInt64(widget.Object, "spec", "size")
		if err != nil || !found {
			return fmt.Errorf("widget-1 has no spec.size: %w", err)
		}
		run.Say("%d widgets in the cache; spec.size of widget-1 is %d",
			len(informer.GetStore().ListKeys()), size)
		run.Say("A dynamic informer needs no Go type: the resource's name is enough. You ask")
		run.Say("for a field by its path, and learn at run time whether the field is there.")
		return nil
	})
	return err
}

// define tells the server of the resource. The owner reference makes the definition go with the
// lesson's namespace, even if the lesson is killed.
func (m *memory) define(ctx context.Context, client dynamic.Interface,
	widgets schema.GroupVersionResource,
) error {
	namespaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	owner, err := client.Resource(namespaces).Get(ctx, m.ns, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get namespace %s: %w", m.ns, err)
	}
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": widgets.GroupResource().String()},
		"spec": map[string]any{
			"group": widgets.Group, "scope": "Namespaced",
			"names": map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget"},
			"versions": []any{map[string]any{
				"name": widgets.Version, "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}}
	definition.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: "v1", Kind: "Namespace", Name: owner.GetName(), UID: owner.GetUID()}})
	definitions := schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	_, err = client.Resource(definitions).Create(ctx, definition, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create the definition of widgets: %w", err)
	}
	return nil
}

// createWidget tries again while the server does not know of widgets yet: that takes a moment.
func (m *memory) createWidget(ctx context.Context, client dynamic.Interface,
	widgets schema.GroupVersionResource, i int,
) error {
	widget := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": widgets.GroupVersion().String(), "kind": "Widget",
		"metadata": map[string]any{"name": fmt.Sprintf("widget-%d", i)},
		"spec":     map[string]any{"size": int64(10 * i)},
	}}
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true,
		func(ctx context.Context) (bool, error) {
			_, last = client.Resource(widgets).Namespace(m.ns).
				Create(ctx, widget, metav1.CreateOptions{})
			if apierrors.IsNotFound(last) {
				return false, nil
			}
			return true, last
		})
	if err != nil {
		return fmt.Errorf("create widget-%d: %w", i, err)
	}
	return nil
}
