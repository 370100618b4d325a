// Exercise 02: changes that nobody made.
//
// The program prints every change to the ConfigMaps of its namespace, as long as its watch lasts.
// No watch lasts for ever: the server ends it after 30 to 60 minutes. The judge ends this one after
// a few changes. Then the program prints changes that nobody made.
//
//	make exercise N=02           judges it
//	make exercise N=02 HINT=1    helps
package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
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
	w, err := configMaps.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()

	// FIX ME: print each change once, and nothing else. Return nil when the watch has ended.
	for {
		e := <-w.ResultChan()
		name := "(no name)"
		if cm, ok := e.Object.(*corev1.ConfigMap); ok {
			name = cm.Name
		}
		fmt.Println("change:", e.Type, name)
	}
}
