// Exercise 14, solved: it says gone, and the door is still there.
//
// The program cares for the ConfigMaps with the label shop=open, and for no others: its informer
// has a selector. It says so when one of them is gone. The judge takes the label off the door. The
// program says that the door is gone. The door is still there.
//
//	make exercise N=14           judges it
//	make exercise N=14 HINT=1    helps
package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		informers.WithNamespace(ns),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.LabelSelector = "shop=open"
		}))
	informer := factory.Core().V1().ConfigMaps().Informer()
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		DeleteFunc: func(obj any) {
			key, err := cache.DeletionHandlingObjectToName(obj)
			if err != nil {
				return
			}
			// The informer is also told of a deletion when an object leaves its selector. The
			// cache knows neither. The server does.
			_, err = clientset.CoreV1().ConfigMaps(ns).Get(ctx, key.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				fmt.Println("gone:", key.Name)
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
