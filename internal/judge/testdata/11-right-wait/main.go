// Right: wait until the cache has caught up, then read from it.
package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	"client-go-lessons/internal/exercise"
)

func main() { exercise.Main(run) }

func run(ctx context.Context, cfg *rest.Config, ns string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	configMaps := clientset.CoreV1().ConfigMaps(ns)
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(ns))
	lister := factory.Core().V1().ConfigMaps().Lister().ConfigMaps(ns)
	ctx, cancel := context.WithCancel(ctx)
	defer factory.Shutdown()
	defer cancel()
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}

	cached, err := lister.Get("counter")
	if err != nil {
		return fmt.Errorf("get ConfigMap counter from the cache: %w", err)
	}
	counter := cached.DeepCopy()
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		count, err := strconv.Atoi(counter.Data["count"])
		if err != nil {
			return err
		}
		counter.Data["count"] = strconv.Itoa(count + 1)
		_, err = configMaps.Update(ctx, counter, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			// Somebody was faster, and the cache may not know it yet. The server does.
			pollErr := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, 10*time.Second, true,
				func(context.Context) (bool, error) {
					now, err := lister.Get("counter")
					if err != nil || now.ResourceVersion == counter.ResourceVersion {
						return false, err
					}
					counter = now.DeepCopy()
					return true, nil
				})
			if pollErr != nil {
				return pollErr
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("add 1 to the counter: %w", err)
	}
	fmt.Println("added 1")
	return nil
}
