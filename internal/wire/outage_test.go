package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestOutage opens a watch, breaks it, and opens two more: the first of them is too old to resume.
func TestOutage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("watch") != "true" {
			_, _ = io.WriteString(w, `{"kind":"ConfigMapList","apiVersion":"v1"}`)
			return
		}
		object, _ := json.Marshal(map[string]any{"kind": "ConfigMap", "apiVersion": "v1",
			"metadata": map[string]string{"name": "color"}})
		_, _ = fmt.Fprintf(w, `{"type":"ADDED","object":%s}`+"\n", object)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)

	cfg := &rest.Config{Host: server.URL}
	outage := BreakWatches(cfg)
	counter := Count(cfg)
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	configMaps := clientset.CoreV1().ConfigMaps("demo")
	open := func() watch.Interface {
		w, err := configMaps.Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Error(err) // and not Fatal: it is called from another goroutine, too
			return watch.NewEmptyWatch()
		}
		t.Cleanup(w.Stop)
		return w
	}

	w := open()
	if e, ok := nextEvent(t, w); !ok || e.Type != watch.Added {
		t.Fatalf("before the outage: %v %v, want ADDED", e.Type, ok)
	}
	outage.Begin()
	if e, ok := nextEvent(t, w); ok {
		t.Fatalf("in the outage: %v, want a closed channel", e.Type)
	}
	if _, err := configMaps.List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatalf("a list in the outage: %v, want it to pass", err)
	}

	opened := make(chan watch.Interface)
	go func() { opened <- open() }()
	select {
	case <-opened:
		t.Fatal("a watch passed in the outage")
	case <-time.After(50 * time.Millisecond):
	}
	outage.End()
	e, ok := nextEvent(t, <-opened)
	if !ok || !apierrors.IsResourceExpired(apierrors.FromObject(e.Object)) {
		t.Fatalf("the first watch after the outage: %v %v, want 410 Expired", e, ok)
	}
	if e, ok := nextEvent(t, open()); !ok || e.Type != watch.Added {
		t.Fatalf("the second watch after the outage: %v %v, want ADDED", e.Type, ok)
	}
	if got := counter.Lap().Requests["watch"]; got != 3 {
		t.Errorf("%d watches counted, want 3", got)
	}
}

func nextEvent(t *testing.T, w watch.Interface) (watch.Event, bool) {
	t.Helper()
	select {
	case e, ok := <-w.ResultChan():
		return e, ok
	case <-time.After(10 * time.Second):
		t.Fatal("neither an event nor an end")
		return watch.Event{}, false
	}
}
