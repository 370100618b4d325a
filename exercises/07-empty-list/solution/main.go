// Exercise 07, solved: the namespace is full, the list is empty.
//
// The program makes a factory, starts it, waits until its caches have synced, and lists. That is
// the right order, or so it seems. There are ConfigMaps in the namespace. It prints none.
//
//	make exercise N=07           judges it
//	make exercise N=07 HINT=1    helps
package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

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
	ctx, cancel := context.WithCancel(ctx)
	defer factory.Shutdown()
	defer cancel()

	// Start starts the informers that were asked for before it. Lister() asks for one.
	lister := factory.Core().V1().ConfigMaps().Lister()
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}
	list, err := lister.ConfigMaps(ns).List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list ConfigMaps from the cache: %w", err)
	}
	fmt.Println("ConfigMaps in the cache:", len(list))
	for _, cm := range list {
		fmt.Println("name:", cm.Name)
	}
	return nil
}
