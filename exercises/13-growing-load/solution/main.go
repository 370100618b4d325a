// Exercise 13, solved: the longer it runs, the more it holds.
//
// A shop is asked for twelve fruits, one after the other, and answers when the fruit is ripe. It
// does not ask again and again, it watches. All answers are right. Look at what is still open when
// all of them are given.
//
//	make exercise N=13           judges it
//	make exercise N=13 HINT=1    helps
package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/exercise"
)

var requests = []string{
	"apple", "banana", "cherry", "date", "elderberry", "fig",
	"grape", "kiwi", "lemon", "mango", "orange", "pear",
}

func main() { exercise.Main(run) }

func run(ctx context.Context, cfg *rest.Config, ns string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	for _, fruit := range requests {
		if err := waitUntilRipe(ctx, clientset.CoreV1().ConfigMaps(ns), fruit); err != nil {
			return err
		}
		fmt.Println(fruit, "is ripe")
	}
	<-ctx.Done() // the shop stays open
	return nil
}

// waitUntilRipe watches one ConfigMap. Such a watch begins with the object as it is.
func waitUntilRipe(
	ctx context.Context, configMaps typedcorev1.ConfigMapInterface, name string,
) error {
	w, err := configMaps.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return fmt.Errorf("watch ConfigMap %s: %w", name, err)
	}
	// Without Stop, the stream and its goroutine stay as long as the context does.
	defer w.Stop()
	for e := range w.ResultChan() {
		if cm, ok := e.Object.(*corev1.ConfigMap); ok && cm.Data["ripe"] == "yes" {
			return nil
		}
	}
	return fmt.Errorf("the watch of %s ended", name)
}
