// Exercise 16, solved: write a controller.
//
// For each ConfigMap with the label role=app there should be another one, NAME-child, with the
// label role=child and the same color. When an app is gone, its child should go. reconcile is
// yours. It is called with an app's name whenever the app or its child has changed, and again later
// if it returns an error. The judge changes many apps at once, lets writes fail, deletes, restarts
// your program, and lets its cache hear of things late.
//
//	make exercise N=16           judges it
//	make exercise N=16 HINT=1    helps
package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"client-go-lessons/internal/exercise"
)

type controller struct {
	configMaps typedcorev1.ConfigMapInterface
	lister     corelisters.ConfigMapNamespaceLister
}

// reconcile makes the child of one app what it should be.
func (c *controller) reconcile(ctx context.Context, app string) error {
	parent, err := c.lister.Get(app)
	gone := apierrors.IsNotFound(err) || err == nil && parent.Labels["role"] != "app"
	if err != nil && !gone {
		return err
	}
	child, err := c.lister.Get(app + "-child")
	switch {
	case apierrors.IsNotFound(err) && gone:
		return nil
	case apierrors.IsNotFound(err):
		child = &corev1.ConfigMap{Data: map[string]string{"color": parent.Data["color"]}}
		child.Name, child.Labels = app+"-child", map[string]string{"role": "child"}
		// If the cache is late, the server says AlreadyExists. Then this is called again.
		_, err = c.configMaps.Create(ctx, child, metav1.CreateOptions{})
		return err
	case err != nil:
		return err
	case gone:
		err = c.configMaps.Delete(ctx, child.Name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	case child.Data["color"] == parent.Data["color"]:
		return nil
	}
	child = child.DeepCopy()
	child.Data = map[string]string{"color": parent.Data["color"]}
	_, err = c.configMaps.Update(ctx, child, metav1.UpdateOptions{})
	return err
}

func main() { exercise.Main(run) }

func run(ctx context.Context, cfg *rest.Config, ns string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(ns))
	informer := factory.Core().V1().ConfigMaps()
	c := &controller{clientset.CoreV1().ConfigMaps(ns), informer.Lister().ConfigMaps(ns)}
	limiter := workqueue.DefaultTypedControllerRateLimiter[string]()
	queue := workqueue.NewTypedRateLimitingQueue(limiter)
	note := func(obj any) {
		if key, err := cache.DeletionHandlingObjectToName(obj); err == nil {
			queue.Add(strings.TrimSuffix(key.Name, "-child"))
		}
	}
	if _, err = informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: note, UpdateFunc: func(_, obj any) { note(obj) }, DeleteFunc: note,
	}); err != nil {
		return err
	}
	factory.StartWithContext(ctx)
	defer context.AfterFunc(ctx, queue.ShutDown)()
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}
	for app, shutdown := queue.Get(); !shutdown; app, shutdown = queue.Get() {
		if err := c.reconcile(ctx, app); err != nil {
			fmt.Println("again:", app, err)
			queue.AddRateLimited(app)
		} else {
			queue.Forget(app)
		}
		queue.Done(app)
	}
	return nil
}
