// Right: Start may be called again, and starts what was asked for since.
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
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0, informers.WithNamespace(ns))
	ctx, cancel := context.WithCancel(ctx)
	defer factory.Shutdown()
	defer cancel()

	factory.StartWithContext(ctx)
	lister := factory.Core().V1().ConfigMaps().Lister()
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}
	list, err := lister.ConfigMaps(ns).List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list ConfigMaps from the cache: %w", err)
	}
	for _, cm := range list {
		fmt.Println("name:", cm.Name)
	}
	return nil
}
