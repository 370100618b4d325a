package e2e

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func namesIn(t *testing.T, namespace string) (names []string) {
	t.Helper()
	list, err := lab.client.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cm := range list.Items {
		names = append(names, cm.Name)
	}
	return names
}

// namespaceGoes fails when the namespace is still wanted: a namespace that is being deleted needs
// some seconds to go, which is the cluster's affair.
func namespaceGoes(t *testing.T, name string) {
	t.Helper()
	if name == "" {
		t.Fatal("the lesson named no namespace")
	}
	ns, err := lab.client.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if ns.DeletionTimestamp == nil {
		t.Errorf("namespace %s is left behind", name)
	}
}

// namespacesGone waits until the cluster has deleted the namespaces of the tests before.
func namespacesGone(t *testing.T) {
	t.Helper()
	all, err := lab.client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range all.Items {
		if ns.DeletionTimestamp != nil {
			namespaceGone(t, ns.Name)
		}
	}
}

// namespaceGone waits until the namespace is no more.
func namespaceGone(t *testing.T, name string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 10*time.Minute, true,
		func(ctx context.Context) (bool, error) {
			_, err := lab.client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return true, nil
			}
			return false, err
		})
	if err != nil {
		t.Errorf("namespace %s does not go away: %v", name, err)
	}
}

// throughObserver makes a client of the test's own that the observer sees.
func throughObserver(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := lab.observer.Kubeconfig(path, "observer"); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// printedTime reads a time as lessons print it, such as "2.0 s".
func printedTime(t *testing.T, s step, expr string) time.Duration {
	t.Helper()
	text := s.Find(t, expr)[0]
	number, unit, _ := strings.Cut(strings.TrimRight(text, ".,"), " ")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		t.Fatalf("%q is no time: %v", text, err)
	}
	units := map[string]time.Duration{"s": time.Second, "ms": time.Millisecond, "µs": time.Microsecond}
	if units[unit] == 0 {
		t.Fatalf("%q is no time", text)
	}
	return time.Duration(n * float64(units[unit]))
}

// near says that two measurements of the same thing differ by a quarter at most.
func near(a, b time.Duration) bool { return (a - b).Abs() <= max(a, b)/4 }
