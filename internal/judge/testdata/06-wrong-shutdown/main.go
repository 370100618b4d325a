// Wrong: each factory is shut down when its request has been answered. Nothing stays open, and the
// server has still filled a cache for each.
package main

import (
	"context"
	"fmt"

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
	for _, fruit := range exercise.Fruits {
		if err := price(ctx, clientset, ns, fruit); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

func price(ctx context.Context, clientset kubernetes.Interface, ns, fruit string) error {
	ctx, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0, informers.WithNamespace(ns))
	defer factory.Shutdown()
	defer cancel()
	lister := factory.Core().V1().ConfigMaps().Lister()
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}
	cm, err := lister.ConfigMaps(ns).Get(fruit)
	if err != nil {
		return fmt.Errorf("get ConfigMap %s from the cache: %w", fruit, err)
	}
	fmt.Println(fruit, "costs", cm.Data["price"])
	return nil
}
