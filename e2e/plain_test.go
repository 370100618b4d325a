package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	toolswatch "k8s.io/client-go/tools/watch"

	"client-go-lessons/internal/observer"
)

// plainWatches counts the watches that a plain program of client-go begins within the window, under
// a fault.
func plainWatches(t *testing.T, match observer.Match, fault observer.Fault, window time.Duration,
	program func(context.Context, *testing.T, kubernetes.Interface, string),
) int {
	t.Helper()
	proxy := ownObserver(t)
	proxy.Inject(match, fault)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := proxy.Kubeconfig(path, "plain"); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), window)
	defer cancel()
	program(ctx, t, clientset, "default")
	return proxy.Since(observer.Mark{}).Verb("watch", "configmaps").Count()
}

// plainInformer runs an informer until ctx ends.
func plainInformer(ctx context.Context, _ *testing.T, clientset kubernetes.Interface, ns string) {
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0, informers.WithNamespace(ns))
	factory.Core().V1().ConfigMaps().Informer()
	factory.StartWithContext(ctx)
	<-ctx.Done()
	factory.Shutdown()
}

// plainRetryWatcher runs a RetryWatcher until ctx ends.
func plainRetryWatcher(ctx context.Context, t *testing.T, clientset kubernetes.Interface, ns string) {
	configMaps := clientset.CoreV1().ConfigMaps(ns)
	list, err := configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Error(err)
		return
	}
	w, err := toolswatch.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return configMaps.Watch(ctx, o)
		},
	})
	if err != nil {
		t.Error(err)
		return
	}
	<-w.Done()
}
