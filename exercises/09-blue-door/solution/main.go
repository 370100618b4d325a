// Exercise 09, solved: the program says red, the door is blue.
//
// The program sees to it that the door is red. It looks into the cache first, and writes only if
// there is need to. When the server refuses a write, it tries again. The judge lets the server
// refuse the first. In the end the program says that the door is red. It is not.
//
//	make exercise N=09           judges it
//	make exercise N=09 HINT=1    helps
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
		// What Get returns belongs to the cache, and all who read it share it: change a copy.
		if door.Data["color"] == "red" {
			return nil // nothing to do
		}
		door = door.DeepCopy()
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
