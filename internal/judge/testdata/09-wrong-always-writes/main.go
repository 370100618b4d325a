// Wrong: the door gets red, and the cache is changed all the same.
package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	lister := factory.Core().V1().ConfigMaps().Lister().ConfigMaps(ns)
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}

	paint := func() error {
		door, err := lister.Get("door")
		if err != nil {
			return fmt.Errorf("get ConfigMap door from the cache: %w", err)
		}
		// FIX ME: what Get returns belongs to the cache, and all who read it share it.
		door.Data["color"] = "red"
		_, err = clientset.CoreV1().ConfigMaps(ns).Update(ctx, door, metav1.UpdateOptions{})
		return err
	}
	for try := 1; try <= 5; try++ {
		if err = paint(); err == nil {
			fmt.Println("the door is red, says try", try)
			break
		}
		fmt.Println("try", try, "failed:", err)
	}
	<-ctx.Done()
	return err
}
