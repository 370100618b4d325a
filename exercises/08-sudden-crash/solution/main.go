// Exercise 08, solved: it ran for months, then it crashed.
//
// The program prints which ConfigMaps come and go. It has done so for months. Then its watch broke,
// a ConfigMap was deleted before the next one began, and the program died. The judge does the same.
//
//	make exercise N=08           judges it
//	make exercise N=08 HINT=1    helps
package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/exercise"
)

func main() { exercise.Main(run) }

func run(ctx context.Context, cfg *rest.Config, ns string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(ns))
	informer := factory.Core().V1().ConfigMaps().Informer()
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if cm, ok := obj.(*corev1.ConfigMap); ok {
				fmt.Println("added:", cm.Name)
			}
		},
		DeleteFunc: func(obj any) {
			// A deletion that was not seen comes as a tombstone, with the last state that was.
			if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = tombstone.Obj
			}
			if cm, ok := obj.(*corev1.ConfigMap); ok {
				fmt.Println("deleted:", cm.Name)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("add a handler: %w", err)
	}
	factory.StartWithContext(ctx)
	<-ctx.Done()
	factory.Shutdown()
	return nil
}
