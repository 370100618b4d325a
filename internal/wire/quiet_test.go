package wire

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestStopQuietly cancels a watch's context. Without StopQuietly an Error event would come at once.
func TestStopQuietly(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	cfg := &rest.Config{Host: server.URL}
	StopQuietly(cfg)
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w, err := clientset.CoreV1().ConfigMaps("demo").Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case e, ok := <-w.ResultChan():
		t.Errorf("%v, ok %t before Stop, want nothing", e, ok)
	case <-time.After(50 * time.Millisecond):
	}
	w.Stop()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case _, ok := <-w.ResultChan():
			if !ok {
				return
			}
		case <-deadline:
			t.Fatal("the channel is not closed after Stop")
		}
	}
}

// TestStopQuietlyLeavesRefusalsAlone cancels the context while the body of a 410 is on its way. The
// informer that asked would else hang in Watch, and its factory in Shutdown.
func TestStopQuietlyLeavesRefusalsAlone(t *testing.T) {
	for name, wrap := range map[string]func(*rest.Config){
		"StopQuietly": StopQuietly,
		"HoldWatches": func(cfg *rest.Config) { HoldWatches(cfg).Shut() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cfg := &rest.Config{Host: "http://server", Transport: roundTripperFunc(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusGone, Body: readerFunc(func([]byte) (int, error) {
					cancel()
					return 0, ctx.Err()
				})}, nil
			})}
			wrap(cfg)
			clientset, err := kubernetes.NewForConfig(cfg)
			if err != nil {
				t.Fatal(err)
			}
			returned := make(chan error, 1)
			go func() {
				_, err := clientset.CoreV1().ConfigMaps("demo").Watch(ctx, metav1.ListOptions{})
				returned <- err
			}()
			select {
			case err := <-returned:
				if err == nil {
					t.Error("a watch that was refused, and no error")
				}
			case <-time.After(10 * time.Second):
				t.Error("Watch does not return")
			}
		})
	}
}

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
func (readerFunc) Close() error                 { return nil }
