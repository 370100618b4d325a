// The controller of lesson 06, written with controller-runtime: docs/beyond.md compares the two.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

type summarizer struct {
	client.Client // reads the cache
	live          client.Reader
}

// Reconcile compares the child that should be with the child that is, and writes the difference.
func (s *summarizer) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	parent := &corev1.ConfigMap{}
	err := s.Get(ctx, req.NamespacedName, parent)
	if err != nil || parent.Labels["summary"] != "wanted" {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	err = s.write(ctx, parent, s)
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		err = s.write(ctx, parent, s.live) // the cache is behind, so read live
	}
	return ctrl.Result{}, err
}

func (s *summarizer) write(ctx context.Context, parent *corev1.ConfigMap, r client.Reader) error {
	want := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: parent.Name + "-summary", Namespace: parent.Namespace,
			Labels: map[string]string{"summary": "made"}},
		Data: map[string]string{"keys": strconv.Itoa(len(parent.Data))},
	}
	if err := ctrl.SetControllerReference(parent, want, s.Scheme()); err != nil {
		return err
	}
	child := &corev1.ConfigMap{} // a copy, also if it comes from the cache
	switch err := r.Get(ctx, client.ObjectKeyFromObject(want), child); {
	case apierrors.IsNotFound(err):
		return s.Create(ctx, want)
	case err != nil:
		return err
	case !metav1.IsControlledBy(child, parent):
		return fmt.Errorf("ConfigMap %s is somebody else's", child.Name)
	case maps.Equal(child.Data, want.Data):
		return nil // there is nothing to write
	}
	child.Data = want.Data
	return s.Update(ctx, child)
}

func run() error {
	ctrl.SetLogger(klog.Background())
	config, err := ctrl.GetConfig() // $KUBECONFIG, the pod's, or ~/.kube/config
	if err != nil {
		return err
	}
	selector, err := labels.Parse("summary") // there is such a label, whatever its value
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Cache: cache.Options{
			DefaultNamespaces:    map[string]cache.Config{os.Getenv("NAMESPACE"): {}}, // "": all
			DefaultLabelSelector: selector,
			DefaultTransform:     cache.TransformStripManagedFields(),
		},
		Metrics: server.Options{BindAddress: "0"}, // none
	})
	if err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(mgr).For(&corev1.ConfigMap{}).Owns(&corev1.ConfigMap{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: 2}).
		Complete(&summarizer{mgr.GetClient(), mgr.GetAPIReader()})
	if err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

func main() {
	if err := run(); err != nil {
		klog.Exit(err)
	}
}
