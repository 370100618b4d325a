// Right: a RetryWatcher keeps the version.
package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	toolswatch "k8s.io/client-go/tools/watch"

	"client-go-lessons/internal/exercise"
)

func main() { exercise.Main(run) }

func run(ctx context.Context, cfg *rest.Config, ns string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	configMaps := clientset.CoreV1().ConfigMaps(ns)
	list, err := configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	fmt.Println("there are", len(list.Items), "ConfigMaps")

	// Each watch begins after the last change that was printed, the first after the List.
	w, err := toolswatch.NewRetryWatcherWithContext(ctx, list.ResourceVersion, source{configMaps})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		cm, ok := e.Object.(*corev1.ConfigMap)
		if !ok {
			return fmt.Errorf("watch ConfigMaps: %w", apierrors.FromObject(e.Object))
		}
		fmt.Println("change:", e.Type, cm.Name)
	}
	return nil
}

type source struct {
	typedcorev1.ConfigMapInterface
}

func (s source) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	return s.Watch(ctx, o)
}
