// A controller to copy: a ConfigMap with the label summary=wanted gets a child, NAME-summary.

package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
)

const workers = 2

type controller struct {
	clientset kubernetes.Interface
	factory   informers.SharedInformerFactory
	lister    corelisters.ConfigMapLister
	queue     workqueue.TypedRateLimitingInterface[cache.ObjectName]
	reconcile func(context.Context, cache.ObjectName) error
}

func newController(clientset kubernetes.Interface, namespace string) (*controller, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(namespace), informers.WithTransform(dropManagedFields),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = "summary" }))
	configMaps := factory.Core().V1().ConfigMaps()
	queue := workqueue.NewTypedRateLimitingQueue(
		workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]())
	c := &controller{clientset, factory, configMaps.Lister(), queue, nil}
	c.reconcile = c.summarize
	_, err := configMaps.TypedInformer().AddTypedEventHandler(corev1informers.ConfigMapHandlerFuncs{
		AddFunc:    c.enqueue,
		UpdateFunc: func(_, cm *corev1.ConfigMap) { c.enqueue(cm) },
		DeleteFunc: func(gone corev1informers.DeletedConfigMap) { c.enqueue(gone.OptionalObj) },
	})
	return c, err
}

func dropManagedFields(obj any) (any, error) { // never read here, so it takes no memory
	if cm, ok := obj.(*corev1.ConfigMap); ok {
		cm.ManagedFields = nil
	}
	return obj, nil
}

func (c *controller) enqueue(cm *corev1.ConfigMap) {
	if cm == nil { // a deletion of which nothing more is known
		return
	}
	name := cache.MetaObjectToName(cm)
	if owner := metav1.GetControllerOf(cm); owner != nil {
		name.Name = owner.Name // a child: look at its parent
	}
	c.queue.Add(name)
}

// summarize compares the child that should be with the child that is, and writes the difference.
func (c *controller) summarize(ctx context.Context, name cache.ObjectName) error {
	parent, err := c.lister.ConfigMaps(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) {
		return nil // deleted: the server deletes the child, too, since parent is its owner
	} else if err != nil || parent.Labels["summary"] != "wanted" {
		return err
	}
	err = c.write(ctx, parent, false)
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		err = c.write(ctx, parent, true) // the cache is behind, so read live
	}
	return err
}

func (c *controller) write(ctx context.Context, parent *corev1.ConfigMap, live bool) error {
	configMaps, want := c.clientset.CoreV1().ConfigMaps(parent.Namespace), summary(parent)
	child, err := c.lister.ConfigMaps(parent.Namespace).Get(want.Name)
	if live {
		child, err = configMaps.Get(ctx, want.Name, metav1.GetOptions{})
	}
	switch {
	case apierrors.IsNotFound(err):
		_, err = configMaps.Create(ctx, want, metav1.CreateOptions{})
		return err
	case err != nil:
		return err
	case !metav1.IsControlledBy(child, parent):
		return fmt.Errorf("ConfigMap %s is somebody else's", child.Name)
	case maps.Equal(child.Data, want.Data):
		return nil // there is nothing to write
	}
	child = child.DeepCopy() // it may be the cache's
	child.Data = want.Data
	_, err = configMaps.Update(ctx, child, metav1.UpdateOptions{})
	return err
}

func summary(parent *corev1.ConfigMap) *corev1.ConfigMap {
	kind := corev1.SchemeGroupVersion.WithKind("ConfigMap")
	owners := []metav1.OwnerReference{*metav1.NewControllerRef(parent, kind)}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: parent.Name + "-summary", // can be foreseen
			Labels: map[string]string{"summary": "made"}, OwnerReferences: owners},
		Data: map[string]string{"keys": strconv.Itoa(len(parent.Data))},
	}
}

// run works until ctx ends. Then it finishes what is in the queue.
func (c *controller) run(ctx context.Context) error {
	defer c.factory.Shutdown() // waits for the informer, which ends with ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer c.queue.ShutDown()
	c.factory.StartWithContext(ctx)
	inTime, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	err := c.factory.WaitForCacheSyncWithContext(inTime).AsError()
	if err != nil && ctx.Err() == nil { // not because of a signal
		return fmt.Errorf("%w: may this user list and watch ConfigMaps?", err)
	}
	var working sync.WaitGroup
	for range workers {
		working.Go(func() { c.work(context.WithoutCancel(ctx)) }) // no write is cut short
	}
	<-ctx.Done()
	c.queue.ShutDown() // takes nothing more, and hands out what it has
	working.Wait()
	return nil
}

func (c *controller) work(ctx context.Context) {
	for name, end := c.queue.Get(); !end; name, end = c.queue.Get() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		if err := c.reconcile(ctx, name); err != nil {
			slog.Error("will try again", "configmap", name.String(), "err", err)
			c.queue.AddRateLimited(name) // 5 ms later, then 10 ms, 20 ms, ...
		} else {
			c.queue.Forget(name) // the next error begins with 5 ms again
		}
		c.queue.Done(name)
		cancel()
	}
}

func controllerMain() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG")) // "": the pod's
	if err != nil {
		return err
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	c, err := newController(clientset, os.Getenv("NAMESPACE")) // "": all
	if err != nil {
		return err
	}
	return c.run(ctx)
}
