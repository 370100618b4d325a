// Right: a select that looks at ok and at the context.
package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
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
	configMaps := clientset.CoreV1().ConfigMaps(ns)
	list, err := configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	w, err := configMaps.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()

	// FIX ME: print each change once, and nothing else. Return nil when the watch has ended.
	for {
		var e watch.Event
		var ok bool
		select {
		case e, ok = <-w.ResultChan():
		case <-ctx.Done():
			return ctx.Err()
		}
		if !ok {
			return nil
		}
		name := "(no name)"
		if cm, ok := e.Object.(*corev1.ConfigMap); ok {
			name = cm.Name
		}
		fmt.Println("change:", e.Type, name)
	}
}
