package wire_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeServer speaks enough of the API for one list, one object, and a watch that sends an event
// whenever send is called.
type fakeServer struct {
	*httptest.Server
	events chan watch.EventType
}

func newServer(t testing.TB) *fakeServer {
	s := &fakeServer{events: make(chan watch.EventType)}
	cm := corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: "ns"}}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Kubernetes-PF-FlowSchema-UID", "flow")
		w.Header().Set("X-Kubernetes-PF-PriorityLevel-UID", "level")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/namespaces/ns/configmaps", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") != "true" {
			answer(w, corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"},
				Items: []corev1.ConfigMap{cm}})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		flush := http.NewResponseController(w)
		_ = flush.Flush()
		for {
			select {
			case e := <-s.events:
				_ = json.NewEncoder(w).Encode(map[string]any{"type": e, "object": cm})
				_ = flush.Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("/api/v1/namespaces/ns/configmaps/app", func(w http.ResponseWriter, _ *http.Request) { answer(w, cm) })
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `etcd_requests_total{group="",operation="get",resource="configmaps"} 7`)
		fmt.Fprintln(w, `etcd_requests_total{group="",operation="listStream",resource="configmaps"} 2`)
		fmt.Fprintln(w, `etcd_requests_total{group="",operation="getCurrentResourceVersion",resource="configmaps"} 5`)
		fmt.Fprintln(w, `etcd_requests_total{group="",operation="get",resource="secrets"} 1e+06`)
		fmt.Fprintln(w, `apiserver_watch_cache_consistent_read_total{group="",resource="configmaps"} 5`)
	})
	s.Server = httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *fakeServer) config() *rest.Config {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return &rest.Config{Host: s.URL, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: ca},
		ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
}

func clientset(t testing.TB, cfg *rest.Config) *kubernetes.Clientset {
	t.Helper()
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if rt, ok := c.CoreV1().RESTClient().(*rest.RESTClient); ok {
			rt.Client.CloseIdleConnections()
		}
	})
	return c
}

func TestCountSeesRequestsConnectionsAndBytes(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	counter := wire.Count(cfg)
	client := clientset(t, cfg).CoreV1().ConfigMaps("ns")

	for range 2 {
		if _, err := client.List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Get(t.Context(), "app", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	lap := counter.Lap()
	if lap.Requests["list"] != 2 || lap.Requests["get"] != 1 || lap.Total() != 3 {
		t.Errorf("requests: %v", lap.Requests)
	}
	if lap.Connections != 1 || lap.Proto != "HTTP/2.0" || lap.Status[200] != 3 {
		t.Errorf("%d connections, %s, %v", lap.Connections, lap.Proto, lap.Status)
	}
	if lap.FlowSchema != "flow" || lap.PriorityLevel != "level" {
		t.Errorf("flow schema %q, priority level %q", lap.FlowSchema, lap.PriorityLevel)
	}
	if lap.Bytes < 300 || !strings.HasPrefix(lap.String(), "2 LIST + 1 GET, 1 new connection (HTTP/2), ") {
		t.Errorf("%d bytes, %s", lap.Bytes, lap)
	}
	if next := counter.Lap(); next.Total() != 0 || next.Connections != 0 || next.String() != "0 requests" {
		t.Errorf("a lap in which nothing happened: %s", next)
	}
}

func TestCountKeepsTheSharedConnection(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	counter := wire.Count(cfg)
	for range 2 { // two clientsets from one config
		if _, err := clientset(t, cfg).CoreV1().ConfigMaps("ns").List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if lap := counter.Lap(); lap.Connections != 1 {
		t.Errorf("%d connections for two clientsets, want 1", lap.Connections)
	}
}

// TestCountLeavesOtherTracesAlone: client-go traces its requests, too, and so may others.
func TestCountLeavesOtherTracesAlone(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	counter := wire.Count(cfg)
	client := clientset(t, cfg).CoreV1().ConfigMaps("ns")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			traced := 0
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				GotConn: func(httptrace.GotConnInfo) { traced++ },
			})
			for range 10 {
				if _, err := client.Get(ctx, "app", metav1.GetOptions{}); err != nil {
					t.Error(err)
				}
			}
			if traced != 10 {
				t.Errorf("the trace of one of eight was called %d times for its 10 requests", traced)
			}
		})
	}
	all.Wait()
	if lap := counter.Lap(); lap.Total() != 80 || lap.Connections != 1 {
		t.Errorf("%s, want 80 GET over 1 connection", lap)
	}
}

func TestCountKnowsOpenWatches(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	counter := wire.Count(cfg)
	w, err := clientset(t, cfg).CoreV1().ConfigMaps("ns").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if lap := counter.Lap(); lap.Requests["watch"] != 1 || lap.OpenWatches != 1 {
		t.Errorf("after Watch: %v, %d open", lap.Requests, lap.OpenWatches)
	}
	w.Stop()
	for range w.ResultChan() { // closed when the watch has ended
	}
	if lap := counter.Lap(); lap.OpenWatches != 0 {
		t.Errorf("after Stop: %d open", lap.OpenWatches)
	}
}

// TestCountTellsEventsApart: what comes by a watch in the lap that opened it is its answer, what
// comes later are events of a watch that was open.
func TestCountTellsEventsApart(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	counter := wire.Count(cfg)
	client := clientset(t, cfg).CoreV1().ConfigMaps("ns")
	w, err := client.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	var laps [2]wire.Lap
	for i := range laps {
		s.events <- watch.Modified
		<-w.ResultChan()
		if _, err := client.Get(t.Context(), "app", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		laps[i] = counter.Lap()
	}
	if laps[0].Events != 0 || laps[1].Events == 0 || laps[0].Bytes != laps[1].Bytes+laps[1].Events {
		t.Errorf("bytes and events: %d and %d, then %d and %d", laps[0].Bytes, laps[0].Events,
			laps[1].Bytes, laps[1].Events)
	}
	if text := laps[1].String(); !strings.HasSuffix(text, wire.Bytes(laps[1].Events)+" events") {
		t.Errorf("the lap says %q", text)
	}
}

func TestCountSeesThrottling(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	cfg.QPS, cfg.Burst = 20, 1
	counter := wire.Count(cfg)
	client := clientset(t, cfg).CoreV1().ConfigMaps("ns")
	start := time.Now()
	for range 5 {
		if _, err := client.List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// Whatever time the requests took themselves is not waited for: on a slow machine the wait is short.
	if took, lap := time.Since(start), counter.Lap(); lap.Throttled <= 0 || lap.Throttled > took {
		t.Errorf("throttled for %s of %s", lap.Throttled, took)
	}
	if lap := counter.Lap(); lap.Throttled != 0 {
		t.Errorf("throttled for %s while nothing was requested", lap.Throttled)
	}
}

func TestVerb(t *testing.T) {
	for _, c := range []struct{ method, url, want string }{
		{"GET", "/api/v1/namespaces/ns/configmaps", "list"},
		{"GET", "/api/v1/configmaps?limit=2", "list"},
		{"GET", "/api/v1/namespaces/ns/configmaps/app", "get"},
		{"GET", "/api/v1/namespaces/ns/configmaps?watch=true", "watch"},
		{"GET", "/api/v1/namespaces/ns/configmaps?watch=false", "list"},
		{"GET", "/api/v1/namespaces", "list"},
		{"GET", "/api/v1/namespaces/ns", "get"},
		{"GET", "/api/v1/namespaces/ns/status", "get"},
		{"PUT", "/api/v1/namespaces/ns/finalize", "update"},
		{"GET", "/api/v1/namespaces/ns/configmaps/app?watch=true", "get"},
		{"GET", "/apis/apps/v1/namespaces/ns/deployments/web/scale", "get"},
		{"GET", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", "list"},
		{"POST", "/api/v1/namespaces/ns/configmaps", "create"},
		{"PUT", "/api/v1/namespaces/ns/configmaps/app", "update"},
		{"PATCH", "/api/v1/namespaces/ns/configmaps/app", "patch"},
		{"DELETE", "/api/v1/namespaces/ns/configmaps/app", "delete"},
		{"DELETE", "/api/v1/namespaces/ns/configmaps", "deletecollection"},
		{"GET", "/metrics", "other"},
		{"GET", "/api/v1", "other"},
		{"GET", "/apis/apps/v1", "other"},
	} {
		if got := wire.Verb(httptest.NewRequest(c.method, c.url, nil)); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.url, got, c.want)
		}
	}
}

func TestRefuse(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		name       string
		status     int
		retryAfter time.Duration
		requests   int
		fails      func(error) bool
	}{
		{"429 with Retry-After is retried", 429, time.Second, 2, nil},
		{"429 without is not", 429, 0, 1, apierrors.IsTooManyRequests},
		{"500 without is not", 500, 0, 1, apierrors.IsInternalError},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := s.config()
			wire.Refuse(cfg, c.status, 1, c.retryAfter)
			counter := wire.Count(cfg)
			_, err := clientset(t, cfg).CoreV1().ConfigMaps("ns").Get(t.Context(), "app", metav1.GetOptions{})
			if (c.fails == nil) != (err == nil) || c.fails != nil && !c.fails(err) {
				t.Errorf("error: %v", err)
			}
			if n := counter.Lap().Requests["get"]; n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
		})
	}
}

func TestReadEtcd(t *testing.T) {
	s := newServer(t)
	got, err := wire.ReadEtcd(t.Context(), clientset(t, s.config()).CoreV1().RESTClient(), "configmaps")
	if want := (wire.Etcd{Objects: 9, Revisions: 5}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	// A stray read by somebody else does not count, a missing one neither.
	if each := (wire.Etcd{Objects: 21, Revisions: 19}).Each(20); each != (wire.Etcd{Objects: 1, Revisions: 1}) {
		t.Errorf("each of 20: %+v", each)
	}
}

func ExampleCount() {
	s := newServer(&testing.T{})
	defer s.Close()
	cfg := s.config()
	counter := wire.Count(cfg)

	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		if _, err := clientset.CoreV1().ConfigMaps("ns").List(context.Background(), metav1.ListOptions{}); err != nil {
			fmt.Println(err)
			return
		}
	}
	lap := counter.Lap()
	fmt.Println(lap.Requests, "on", lap.Connections, "connection")
	// Output: map[list:3] on 1 connection
}
