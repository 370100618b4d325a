// Exercise 15: not found, and creating it fails as well.
//
// The program sees to it that some objects are there, of any type: what is not found, it creates.
// It worked on the old cluster. This cluster has no type "doors", and the program gives up: the
// report is never made. It should create what can be created, and print "no type: doors" for what
// cannot.
//
//	make exercise N=15           judges it
//	make exercise N=15 HINT=1    helps
package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/exercise"
)

func main() { exercise.Main(run) }

func run(ctx context.Context, cfg *rest.Config, ns string) error {
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	doors := schema.GroupVersion{Group: "example.com", Version: "v1"}
	if err := ensure(ctx, client, ns, doors.WithResource("doors"), "Door", "front"); err != nil {
		return err
	}
	core := schema.GroupVersion{Version: "v1"}
	return ensure(ctx, client, ns, core.WithResource("configmaps"), "ConfigMap", "report")
}

// ensure creates the object if it is not there.
func ensure(ctx context.Context, client dynamic.Interface, ns string,
	resource schema.GroupVersionResource, kind, name string,
) error {
	objects := client.Resource(resource).Namespace(ns)
	_, err := objects.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		object := &unstructured.Unstructured{}
		object.SetAPIVersion(resource.GroupVersion().String())
		object.SetKind(kind)
		object.SetName(name)
		_, err = objects.Create(ctx, object, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("ensure %s %s: %w", resource.Resource, name, err)
	}
	fmt.Println("there:", resource.Resource, name)
	return nil
}
