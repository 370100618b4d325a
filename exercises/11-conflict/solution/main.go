// Exercise 11, solved: five tries, five conflicts.
//
// The program adds 1 to a counter, and knows that others write to it, too: RetryOnConflict tries
// again when somebody was faster. The judge is faster, once, and lets the cache hear of it late.
// The program gives up.
//
//	make exercise N=11           judges it
//	make exercise N=11 HINT=1    helps
package main

import (
	"context"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
			live, getErr := configMaps.Get(ctx, "counter", metav1.GetOptions{})
			if getErr != nil {
				return getErr
			}
			counter = live
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("add 1 to the counter: %w", err)
	}
	fmt.Println("added 1")
	return nil
}
