package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"

	"client-go-lessons/internal/lesson"
)

// metadata asks the server for the metadata alone. The objects in the cache are of the type
// *metav1.PartialObjectMetadata, whatever the resource.
func (m *memory) metadata(ctx context.Context, run *lesson.Run) error {
	cfg, counter := m.client()
	client, err := metadata.NewForConfig(cfg)
	if err != nil {
		return err
	}
	factory := metadatainformer.NewFilteredSharedInformerFactory(client, 0, m.ns, nil)
	resource := corev1.SchemeGroupVersion.WithResource("configmaps")
	informer := factory.ForResource(resource).Informer()
	c, err := m.keep(ctx, counter, factory, informer, nil)
	if err != nil {
		return err
	}
	m.costs["metadata"] = c
	m.show(run, "metadata")
	if c.sent < int64(c.objects)*text {
		run.Say("Names, labels, owners and versions are there. The data is neither sent nor")
		run.Say("kept. You need the same rights: RBAC knows no right to the metadata alone.")
	}
	return nil
}

// untyped reads the same ConfigMaps by the dynamic client: as maps of strings to anything. That is
// the way for resources without a Go type in your program.
func (m *memory) untyped(ctx context.Context, run *lesson.Run) error {
	cfg, counter := m.client()
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, m.ns, nil)
	resource := corev1.SchemeGroupVersion.WithResource("configmaps")
	informer := factory.ForResource(resource).Informer()
	c, err := m.keep(ctx, counter, factory, informer, nil)
	if err != nil {
		return err
	}
	m.costs["untyped"] = c
	typed := m.costs["everything"]
	m.show(run, "everything", "untyped")
	if c.kept > typed.kept {
		run.Say("The same objects take %.1f times the memory as maps, and they come as JSON",
			float64(c.kept)/float64(max(1, typed.kept)))
		run.Say("instead of protobuf. Where there is a Go type, use the type.")
	}
	return nil
}
