// Exercise 06, solved: right answers that cost more and more.
//
// A shop is asked for the prices of twelve fruits, one after the other, and reads each from an
// informer's cache. All answers are right. Look at what they cost the server, now and later.
//
//	make exercise N=06           judges it
//	make exercise N=06 HINT=1    helps
package main

import (
	"context"
	"fmt"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/exercise"
)

var requests = []string{
	"apple", "banana", "cherry", "date", "elderberry", "fig",
	"grape", "kiwi", "lemon", "mango", "orange", "pear",
}

func main() { exercise.Main(run) }

func run(ctx context.Context, cfg *rest.Config, ns string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}

	// One factory for the life of the program: one watch, one copy.
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(ns))
	lister := factory.Core().V1().ConfigMaps().Lister()
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}
	for _, fruit := range requests {
		cm, err := lister.ConfigMaps(ns).Get(fruit)
		if err != nil {
			return fmt.Errorf("get ConfigMap %s from the cache: %w", fruit, err)
		}
		fmt.Println(fruit, "costs", cm.Data["price"])
	}

	<-ctx.Done() // the shop stays open
	return nil
}
