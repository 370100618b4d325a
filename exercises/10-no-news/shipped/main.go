// Exercise 10: twelve changes, and no news of them.
//
// Whenever the door is painted, a handler prints that it was told, and writes the door's color into
// the ConfigMap "report". The judge lets the server take its time over the first write, and paints
// the door twelve times meanwhile. The handler is told of none of it.
//
//	make exercise N=10           judges it
//	make exercise N=10 HINT=1    helps
package main

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	lister := factory.Core().V1().ConfigMaps().Lister().ConfigMaps(ns)

	// report writes down the color that the door has now. A slow server makes it slow.
	report := func() {
		door, err := lister.Get("door")
		if err == nil {
			patch := fmt.Appendf(nil, `{"data":{"door":%q}}`, door.Data["color"])
			_, err = clientset.CoreV1().ConfigMaps(ns).Patch(ctx, "report",
				types.MergePatchType, patch, metav1.PatchOptions{})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "report:", err)
		}
	}
	// FIX ME: print at once what the handler is told, also while report waits for the server. The
	// last report must be of the last color.
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, obj any) {
			if cm, ok := obj.(*corev1.ConfigMap); ok && cm.Name == "door" {
				fmt.Println("told: the door is", cm.Data["color"])
				report()
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
