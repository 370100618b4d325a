// Exercise 05, solved: the color is there, and is not found.
//
// The program reads its color from the ConfigMap "settings", by the lister of an informer. The
// ConfigMap is there, its color is blue. The program says that no color is set.
//
//	make exercise N=05           judges it
//	make exercise N=05 HINT=1    helps
package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	lister := factory.Core().V1().ConfigMaps().Lister()
	ctx, cancel := context.WithCancel(ctx)
	defer factory.Shutdown()
	defer cancel()
	factory.StartWithContext(ctx)

	// Until the first answer is in the cache, a lister says NotFound for everything.
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}
	settings, err := lister.ConfigMaps(ns).Get("settings")
	switch {
	case apierrors.IsNotFound(err):
		fmt.Println("color: not set")
		return nil
	case err != nil:
		return fmt.Errorf("get ConfigMap settings from the cache: %w", err)
	}
	fmt.Println("color:", settings.Data["color"])
	return nil
}
