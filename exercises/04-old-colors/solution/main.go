// Exercise 04, solved: one day the colors stay old.
//
// The program keeps the colors of the ConfigMaps of its namespace, and prints them after each
// change. Its watch goes on from the version of the last event. One day the server does not know
// that version any more and says 410 Expired. The judge lets that day be today.
//
//	make exercise N=04           judges it
//	make exercise N=04 HINT=1    helps
package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	colors := map[string]string{}
	version := "" // of the state that colors shows; "" if that is not known
	for ctx.Err() == nil {
		if version == "" {
			list, err := configMaps.List(ctx, metav1.ListOptions{})
			if err != nil {
				return fmt.Errorf("list ConfigMaps: %w", err)
			}
			clear(colors)
			for _, cm := range list.Items {
				colors[cm.Name] = cm.Data["color"]
			}
			version = list.ResourceVersion
			fmt.Println("colors:", colors)
		}
		w, err := configMaps.Watch(ctx, metav1.ListOptions{ResourceVersion: version})
		if err != nil {
			return fmt.Errorf("watch ConfigMaps: %w", err)
		}
		for e := range w.ResultChan() {
			if e.Type == watch.Error {
				// The changes since version are lost, so begin anew with a List.
				err := apierrors.FromObject(e.Object)
				fmt.Println("trying again after:", err)
				if apierrors.IsResourceExpired(err) {
					version = ""
				}
				continue
			}
			cm, ok := e.Object.(*corev1.ConfigMap)
			if !ok {
				continue
			}
			version = cm.ResourceVersion
			if e.Type == watch.Deleted {
				delete(colors, cm.Name)
			} else {
				colors[cm.Name] = cm.Data["color"]
			}
			fmt.Println("colors:", colors)
		}
	}
	return nil
}
