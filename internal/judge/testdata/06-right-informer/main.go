// Right: one informer without a factory, made once and read by its store.
package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
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
	informer := coreinformers.NewConfigMapInformer(clientset, ns, 0, cache.Indexers{})
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return errors.New("the cache did not fill")
	}
	for _, fruit := range exercise.Fruits {
		item, found, err := informer.GetStore().GetByKey(ns + "/" + fruit)
		if err != nil || !found {
			return fmt.Errorf("get ConfigMap %s from the cache: found %t, %w", fruit, found, err)
		}
		fmt.Println(fruit, "costs", item.(*corev1.ConfigMap).Data["price"])
	}
	<-ctx.Done()
	return nil
}
