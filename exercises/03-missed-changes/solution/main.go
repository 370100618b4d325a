// Exercise 03, solved: some changes are missed, others come twice.
//
// The program prints every change to the ConfigMaps of its namespace. When its watch ends, it
// begins another. The judge ends the first watch after one change, and changes more before the
// second one is let through. The program misses some, and prints others that nobody made.
//
//	make exercise N=03           judges it
//	make exercise N=03 HINT=1    helps
package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	fmt.Println("there are", len(list.Items), "ConfigMaps")

	// Each watch begins after the last change that was printed, the first after the List.
	options := metav1.ListOptions{ResourceVersion: list.ResourceVersion}
	for ctx.Err() == nil {
		w, err := configMaps.Watch(ctx, options)
		if err != nil {
			return fmt.Errorf("watch ConfigMaps: %w", err)
		}
		for e := range w.ResultChan() {
			cm, ok := e.Object.(*corev1.ConfigMap)
			if !ok {
				return fmt.Errorf("watch ConfigMaps: %w", apierrors.FromObject(e.Object))
			}
			fmt.Println("change:", e.Type, cm.Name)
			options.ResourceVersion = cm.ResourceVersion
		}
	}
	return nil
}
