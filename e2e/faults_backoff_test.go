package e2e

import (
	"context"
	"path/filepath"
	"strings"
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

// TestFaultsMakeNoBusyLoop cuts every watch as soon as it has begun, and counts how often a lesson begins
// another one within a window. Plain client-go, under the same fault and within the same window,
// sets the measure: an informer waits 0.8 s and more between attempts, a RetryWatcher one second,
// and a lesson that asks more than twice as often has a loop of its own.
func TestFaultsMakeNoBusyLoop(t *testing.T) {
	if !slowFaults() {
		t.Skip("make e2e-faults runs it")
	}
	const window = 5 * time.Second
	for _, c := range []struct {
		lesson string
		args   []string
		prompt int // the lesson waits here for the window; 0: it hangs by itself until its timeout
		plain  func(ctx context.Context, t *testing.T, clientset kubernetes.Interface, ns string)
	}{
		{"02-watch", []string{"-step", "7", "-timeout", window.String()}, 0, plainRetryWatcher},
		{"03-informer", []string{"-step", "2"}, 2, plainInformer},
		{"04-fallback", []string{"-step", "4"}, 1, plainInformer},
	} {
		t.Run(c.lesson, func(t *testing.T) {
			t.Parallel()
			noteFailure(t)
			binary(t, c.lesson)
			proxy, plain := watchesCut(t), watchesCut(t)
			var ended, asked int
			measure := func() {
				mark := proxy.Mark()
				asked = plainWatches(t, plain, window, c.plain)
				ended = proxy.Since(mark).Verb("watch", "configmaps").Count()
			}
			var stderr strings.Builder
			o := runOptions{args: c.args, proxy: proxy, stderr: &stderr, before: func(n int) {
				if n == c.prompt {
					measure()
				}
			}}
			if c.prompt > 0 {
				o.args = append(o.args, "-timeout", (2 * window).String())
			}
			run, err := tryLesson(t, c.lesson, o)
			if err != nil {
				t.Fatal(err)
			}
			if c.prompt == 0 {
				asked = plainWatches(t, plain, window, c.plain)
				ended = proxy.Since(observer.Mark{}).Verb("watch", "configmaps").Count()
			}
			t.Logf("within %s: %d watches by the lesson, %d by plain client-go", window, ended, asked)
			if asked == 0 || ended == 0 || ended > 2*asked {
				t.Errorf("%d watches by the lesson, %d by plain client-go within %s, want at most twice as many\n%s%s",
					ended, asked, window, run.Output, &stderr)
			}
			namespaceGoes(t, run.Namespace)
		})
	}
}

// TestFaultsAnsweredWith410 shows what docs/reliability.md says of client-go itself: answered with an
// HTTP 410 each time, an informer that syncs by a streaming watch asks again without a pause, and a
// RetryWatcher once a second. A client-go that fares better will fail this test.
func TestFaultsAnsweredWith410(t *testing.T) {
	if !slowFaults() {
		t.Skip("make e2e-faults runs it")
	}
	noteFailure(t)
	const window = 3 * time.Second
	gone := func() *observer.Observer {
		proxy := ownObserver(t)
		proxy.Inject(observer.Match{Verb: "watch", Resource: "configmaps"}, observer.Expired())
		return proxy
	}
	informer := plainWatches(t, gone(), window, plainInformer)
	retry := plainWatches(t, gone(), window, plainRetryWatcher)
	t.Logf("within %s: %d watches by an informer, %d by a RetryWatcher", window, informer, retry)
	if retry < 2 || retry > 4 {
		t.Errorf("a RetryWatcher asked %d times within %s, want once a second", retry, window)
	}
	if informer < 25*retry {
		t.Errorf("an informer asked %d times within %s, a RetryWatcher %d times; want far more", informer, window, retry)
	}
}

// watchesCut starts an observer that cuts every watch as soon as it has begun.
func watchesCut(t *testing.T) *observer.Observer {
	t.Helper()
	proxy := ownObserver(t)
	proxy.Inject(observer.Match{Verb: "watch", Resource: "configmaps"}, observer.CutAfterEvents(0))
	return proxy
}

// plainWatches counts the watches that a plain program of client-go begins within the window.
func plainWatches(t *testing.T, proxy *observer.Observer, window time.Duration,
	program func(context.Context, *testing.T, kubernetes.Interface, string),
) int {
	t.Helper()
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
