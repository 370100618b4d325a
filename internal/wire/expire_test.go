package wire_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/wire"
)

// TestExpireWatches lets one watch pass, has the next one expire, and lets the third pass again.
func TestExpireWatches(t *testing.T) {
	server := newServer(t)
	cfg := server.config()
	expire := wire.ExpireWatches(cfg)
	counter := wire.Count(cfg)
	configMaps := clientset(t, cfg).CoreV1().ConfigMaps("ns")

	for i, want := range []watch.EventType{watch.Modified, watch.Error, watch.Modified} {
		if want == watch.Error {
			expire.Next(1)
			if _, err := configMaps.List(t.Context(), metav1.ListOptions{}); err != nil {
				t.Fatalf("a list before the watch: %v, want it to pass", err)
			}
		}
		w, err := configMaps.Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatalf("watch %d: %v", i, err)
		}
		defer w.Stop()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { // again and again, as the stream that was replaced may take one, too
			for {
				select {
				case server.events <- watch.Modified:
				case <-ctx.Done():
					return
				}
			}
		}()
		e, ok := receive(t, w)
		if !ok || e.Type != want {
			t.Fatalf("watch %d: got %v, %t, want %s", i, e, ok, want)
		}
		if want == watch.Error {
			if err := apierrors.FromObject(e.Object); !apierrors.IsResourceExpired(err) {
				t.Errorf("the error is %v, want Expired", err)
			}
			if e, ok := receive(t, w); ok {
				t.Errorf("after the Error came %v, want the end", e)
			}
		}
		w.Stop()
		cancel()
	}
	lap := counter.Lap()
	if lap.Requests["watch"] != 3 || lap.Status[http.StatusOK] != 4 || lap.OpenWatches != 0 {
		t.Errorf("counted %v, want 3 watches, 4 answers and none open", lap)
	}
}

func receive(t *testing.T, w watch.Interface) (watch.Event, bool) {
	t.Helper()
	select {
	case e, ok := <-w.ResultChan():
		return e, ok
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		return watch.Event{}, false
	}
}
