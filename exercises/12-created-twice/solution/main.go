// Exercise 12, solved: two of what should be one.
//
// Every app must have one child, a ConfigMap with the label app. ensure looks into the cache and
// creates the child if there is none. It is called twice in a row, as happens in a controller. The
// judge lets the cache hear of the first child late. Then there are two.
//
//	make exercise N=12           judges it
//	make exercise N=12 HINT=1    helps
package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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

	ofApp := labels.Set{"app": "shop"}
	ensure := func() error {
		// A name that follows from the app lets the server refuse a second child, however old the
		// cache is. (A real controller then looks whether what has that name is its own.)
		children, err := lister.List(ofApp.AsSelector())
		if err != nil || len(children) > 0 {
			return err
		}
		child := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Name: "shop-child", Labels: ofApp,
		}}
		_, err = configMaps.Create(ctx, child, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	for call := 1; call <= 2; call++ {
		if err := ensure(); err != nil {
			return fmt.Errorf("call %d: %w", call, err)
		}
		fmt.Println("call", call, "done")
	}
	return nil
}
