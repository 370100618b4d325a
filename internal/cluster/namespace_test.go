package cluster

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
)

// TestRemoveSaysWhatBecameOfIt: "is deleted" is said of what is gone, and of nothing else.
func TestRemoveSaysWhatBecameOfIt(t *testing.T) {
	const stuck = "Discovery failed for some groups, 1 failing: metrics.k8s.io/v1beta1"
	for _, c := range []struct {
		name       string
		terminates bool // it is still there after the deletion was accepted
		condition  string
		want       string
	}{
		{"gone", false, "", "is deleted"},
		{"on its way", true, "", "is being deleted"},
		{"held", true, stuck, "is being deleted, but something holds it: " + stuck},
	} {
		t.Run(c.name, func(t *testing.T) {
			ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lesson-09-abcde"}}
			client := fake.NewClientset(ns)
			client.PrependReactor("delete", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
				if !c.terminates {
					return false, nil, nil
				}
				going := ns.DeepCopy()
				going.DeletionTimestamp = new(metav1.Now())
				going.Finalizers = []string{"kubernetes"}
				if c.condition != "" {
					going.Status.Conditions = []corev1.NamespaceCondition{
						{Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionFalse, Message: "no"},
						{Type: corev1.NamespaceDeletionDiscoveryFailure, Status: corev1.ConditionTrue, Message: c.condition}}
				}
				return true, nil, client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("namespaces"), going, "")
			})
			n := &Namespace{Name: ns.Name, made: true, clientset: client, cluster: &Cluster{}}
			removal, err := n.Remove()
			if err != nil || removal.Taken || removal.String() != c.want {
				t.Errorf("%q, taken %t, %v; want %q", removal, removal.Taken, err, c.want)
			}
		})
	}
}

// TestLeftBehindNamesTheCluster: the command that removes a namespace works as it is printed.
func TestLeftBehindNamesTheCluster(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("delete", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("no")
	})
	c := &Cluster{Context: "here", Source: ".cluster/kubeconfig"}
	synctest.Test(t, func(t *testing.T) { // it tries for some seconds
		_, err := (&Namespace{Name: "lesson-09-abcde", clientset: client, cluster: c}).Remove()
		want := "kubectl --kubeconfig .cluster/kubeconfig --context here delete namespace lesson-09-abcde"
		if err == nil || !strings.HasSuffix(Explain(err), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	})
}

// TestALostServerIsNoticed: within some 15 s of the last sign of life, whether the server refuses or
// is silent; but not one that answers, whatever it answers, and not one that restarts.
func TestALostServerIsNoticed(t *testing.T) {
	refuses := func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }
	silent := func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	answers := func(r *http.Request, code int) (*http.Response, error) {
		return &http.Response{StatusCode: code, Header: http.Header{}, Request: r,
			Body: io.NopCloser(strings.NewReader("{}"))}, nil
	}
	cannot := func(r *http.Request) (*http.Response, error) { return answers(r, http.StatusServiceUnavailable) }
	forbids := func(r *http.Request) (*http.Response, error) { return answers(r, http.StatusForbidden) }
	for _, c := range []struct {
		name   string
		server func(*http.Request) (*http.Response, error)
		after  time.Duration // the server behaves so after this time; before it answers
		until  time.Duration // and till then; 0 is for ever
		lost   bool
	}{
		{"refuses", refuses, 5 * time.Second, 0, true},
		{"says nothing", silent, 5 * time.Second, 0, true},
		{"cannot", cannot, 5 * time.Second, 0, true},
		{"forbids", forbids, 5 * time.Second, 0, false},
		{"restarts", refuses, 5 * time.Second, 15 * time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				server := roundTrip(func(r *http.Request) (*http.Response, error) {
					at := time.Since(begin)
					if at < c.after || c.until > 0 && at > c.until {
						return answers(r, http.StatusOK)
					}
					return c.server(r)
				})
				cfg := &rest.Config{Host: "https://127.0.0.1:6443"}
				clientset, err := kubernetes.NewForConfigAndClient(cfg, &http.Client{Transport: server})
				if err != nil {
					t.Fatal(err)
				}
				n := &Namespace{Name: "lesson-09-abcde", clientset: clientset, cluster: &Cluster{Config: cfg}}
				quiet := func() time.Duration { return time.Since(begin) }
				var lost error
				ended := make(chan struct{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				go func() { defer close(ended); lost = n.Lost(ctx, quiet) }()
				<-ended
				took := time.Since(begin) - c.after
				if (lost != nil) != c.lost || c.lost && (took > 18*time.Second || !n.Gone()) {
					t.Errorf("after %s: %v, want an error: %t", took, lost, c.lost)
				}
				if lost != nil && !strings.Contains(Explain(lost), "lesson-09-abcde") {
					t.Errorf("it says nothing of the namespace: %v", lost)
				}
			})
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
