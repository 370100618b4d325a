package wire_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/wire"
)

// far is the time after which a test gives up.
const far = time.Minute

// from is a watch that goes on from a resourceVersion.
var from = metav1.ListOptions{ResourceVersion: "7"}

func open(t *testing.T, client corev1client.ConfigMapInterface, options metav1.ListOptions) watch.Interface {
	t.Helper()
	w, err := client.Watch(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

// receive wants an event of this type, or the end of the watch if it is "".
func receive(t *testing.T, w watch.Interface, want watch.EventType) {
	t.Helper()
	select {
	case e, ok := <-w.ResultChan():
		if ok != (want != "") || e.Type != want {
			t.Fatalf("got %q (%v), want %q", e.Type, e.Object, want)
		}
		if expired := apierrors.IsResourceExpired(apierrors.FromObject(e.Object)); ok && expired != (want == watch.Error) {
			t.Fatalf("%v: expired is %t", e.Object, expired)
		}
	case <-time.After(far):
		t.Fatal("nothing came")
	}
}

// nothing wants that no event has come, and that the watch has not ended.
func nothing(t *testing.T, w watch.Interface) {
	t.Helper()
	select {
	case e, ok := <-w.ResultChan():
		t.Errorf("got %q, ok %t, want nothing", e.Type, ok)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestLagHolds(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	lag := wire.DelayWatches(cfg)
	client := clientset(t, cfg).CoreV1().ConfigMaps("ns")
	w := open(t, client, from)
	s.events <- watch.Added
	receive(t, w, watch.Added)

	lag.Hold()
	lag.Hold() // twice is once
	s.events <- watch.Modified
	if _, err := client.Get(t.Context(), "app", metav1.GetOptions{}); err != nil {
		t.Errorf("a read meanwhile: %v", err)
	}
	nothing(t, w)
	lag.Release()
	receive(t, w, watch.Modified)

	lag.Hold()
	s.events <- watch.Added
	nothing(t, w)
	w.Stop() // a watch that is stopped is held no longer
	for range w.ResultChan() {
	}
}

func TestLagDelays(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	lag := wire.DelayWatches(cfg)
	w := open(t, clientset(t, cfg).CoreV1().ConfigMaps("ns"), from)
	const d = 200 * time.Millisecond
	lag.Set(d)
	start := time.Now()
	s.events <- watch.Added
	s.events <- watch.Modified // both are on their way at the same time, and arrive in order
	receive(t, w, watch.Added)
	receive(t, w, watch.Modified)
	if took := time.Since(start); took < d {
		t.Errorf("with a lag of %s two events took %s", d, took)
	}
}

// TestOutage breaks two watches. The first two that go on from there are too old, those that begin
// anew meanwhile are not.
func TestOutage(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	outage := wire.BreakWatches(cfg)
	counter := wire.Count(cfg)
	client := clientset(t, cfg).CoreV1().ConfigMaps("ns")
	broken := []watch.Interface{open(t, client, from), open(t, client, from)}
	outage.Begin()
	for _, w := range broken {
		receive(t, w, "")
	}
	if _, err := client.List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("a list in the outage: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Watch(ctx, from); err == nil {
		t.Error("a watch passed in the outage")
	} // and it has given up: the 410 of others is not for it
	outage.End()
	receive(t, open(t, client, from), watch.Error)
	w := open(t, client, metav1.ListOptions{})
	s.events <- watch.Added
	receive(t, w, watch.Added)
	w.Stop()
	receive(t, open(t, client, from), watch.Error)
	w = open(t, client, from)
	s.events <- watch.Modified
	receive(t, w, watch.Modified)
	if n := counter.Lap().Requests["watch"]; n != 7 {
		t.Errorf("%d watches counted, want 7", n)
	}
}

// TestOutageBreaksAWatchOnItsWay begins an outage between a watch's request and its answer.
func TestOutageBreaksAWatchOnItsWay(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	sent, goOn := make(chan struct{}, 2), make(chan struct{})
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return roundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent <- struct{}{}
			<-goOn
			return rt.RoundTrip(req)
		})
	})
	outage := wire.BreakWatches(cfg)
	client := clientset(t, cfg).CoreV1().ConfigMaps("ns")
	go func() {
		<-sent
		outage.Begin()
		close(goOn)
	}()
	receive(t, open(t, client, from), "")
	outage.End()
	receive(t, open(t, client, from), watch.Error)
}

func TestExpireWatches(t *testing.T) {
	s := newServer(t)
	cfg := s.config()
	expiry := wire.ExpireWatches(cfg)
	counter := wire.Count(cfg)
	client := clientset(t, cfg).CoreV1().ConfigMaps("ns")
	for i, want := range []watch.EventType{watch.Modified, watch.Error, watch.Modified} {
		if want == watch.Error {
			expiry.Next(1)
			if _, err := client.List(t.Context(), metav1.ListOptions{}); err != nil {
				t.Fatalf("a list before the watch: %v, want it to pass", err)
			}
		}
		w := open(t, client, metav1.ListOptions{})
		if want == watch.Error {
			receive(t, w, want)
			receive(t, w, "")
		} else {
			s.events <- want
			receive(t, w, want)
		}
		w.Stop()
		for range w.ResultChan() {
		}
		if lap := counter.Lap(); lap.Requests["watch"] != 1 || lap.OpenWatches != 0 {
			t.Errorf("watch %d: counted %v, want one watch, and none open", i, lap)
		}
	}
}

// TestStopQuietly cancels a watch's context. Without StopQuietly an Error event would come at once.
func TestStopQuietly(t *testing.T) {
	cfg := newServer(t).config()
	wire.StopQuietly(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := clientset(t, cfg).CoreV1().ConfigMaps("ns").Watch(ctx, from)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	nothing(t, w)
	w.Stop()
	for range w.ResultChan() {
	}
}

// TestRefusalsAreNoStreams cancels the context while the body of a 410 is on its way. The informer
// that asked would else hang in Watch, and its factory in Shutdown.
func TestRefusalsAreNoStreams(t *testing.T) {
	for name, wrap := range map[string]func(*rest.Config){
		"StopQuietly":  wire.StopQuietly,
		"DelayWatches": func(cfg *rest.Config) { wire.DelayWatches(cfg).Hold() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cfg := fake(http.StatusGone, readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, ctx.Err()
		}))
		wrap(cfg)
		returned := make(chan error, 1)
		go func() {
			_, err := clientset(t, cfg).CoreV1().ConfigMaps("ns").Watch(ctx, from)
			returned <- err
		}()
		select {
		case err := <-returned:
			if err == nil {
				t.Errorf("%s: a watch that was refused, and no error", name)
			}
		case <-time.After(far):
			t.Errorf("%s: Watch does not return", name)
		}
	}
}

// TestNoticeEndlessSync begins watches that start with a list. Only where no list ends is it told.
func TestNoticeEndlessSync(t *testing.T) {
	const most = 3
	end := `{"type":"BOOKMARK","object":{"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}}`
	for _, c := range []struct {
		name, stream string
		list         bool // the watch starts with one
		want         int
	}{
		{"no end", `{"type":"ADDED"}`, true, 1},
		{"an end in each", end, true, 0},
		{"no list", `{"type":"ADDED"}`, false, 0},
	} {
		var stream io.Reader
		cfg := fake(http.StatusOK, readerFunc(func(p []byte) (int, error) {
			return stream.Read(p[:min(7, len(p))]) // the mark arrives in parts
		}))
		told := 0
		wire.NoticeEndlessSync(cfg, most, far, func() { told++ })
		client := clientset(t, cfg).CoreV1().ConfigMaps("ns")
		for range 2 * most {
			stream = strings.NewReader(c.stream)
			w := open(t, client, metav1.ListOptions{SendInitialEvents: &c.list})
			for range w.ResultChan() { //nolint:revive // to the end
			}
		}
		if told != c.want {
			t.Errorf("%s: told %d times, want %d", c.name, told, c.want)
		}
	}
}

// TestNoticeSilentSync begins a watch that starts with a list, of which not a byte comes.
func TestNoticeSilentSync(t *testing.T) {
	cfg := newServer(t).config()
	told := make(chan struct{}, 1)
	wire.NoticeEndlessSync(cfg, 2, time.Millisecond, func() { told <- struct{}{} })
	yes := true
	open(t, clientset(t, cfg).CoreV1().ConfigMaps("ns"), metav1.ListOptions{SendInitialEvents: &yes})
	select {
	case <-told:
	case <-time.After(far):
		t.Error("not told")
	}
}

// TestNoticeRefusals: a list that is refused is told at once, a watch when it still is after a while.
func TestNoticeRefusals(t *testing.T) {
	for _, c := range []struct {
		grace       time.Duration
		list, watch int // statuses
		want        int // calls after two of each
	}{
		{far, http.StatusForbidden, http.StatusForbidden, 2},
		{far, http.StatusOK, http.StatusForbidden, 0},
		{0, http.StatusOK, http.StatusForbidden, 1},
		{0, http.StatusOK, http.StatusOK, 0},
	} {
		cfg := &rest.Config{Host: "http://server", QPS: -1, Transport: roundTripperFunc(
			func(req *http.Request) (*http.Response, error) {
				status := c.list
				if req.URL.Query().Get("watch") != "" {
					status = c.watch
				}
				return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
					Body: io.NopCloser(strings.NewReader(
						`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`))}, nil
			})}
		told := 0
		wire.NoticeRefusals(cfg, c.grace, func(err error) {
			if !apierrors.IsForbidden(err) {
				t.Errorf("told of %v", err)
			}
			told++
		})
		client := clientset(t, cfg).CoreV1().ConfigMaps("ns")
		for range 2 {
			if w, err := client.Watch(t.Context(), from); err == nil {
				w.Stop()
			} else if !apierrors.IsForbidden(err) {
				t.Errorf("a watch: %v", err)
			}
			_, _ = client.List(t.Context(), from)
		}
		if told != c.want {
			t.Errorf("%+v: told %d times", c, told)
		}
	}
}

// fake is for clients whose every answer is this one.
func fake(status int, body io.Reader) *rest.Config {
	return &rest.Config{Host: "http://server", QPS: -1, Transport: roundTripperFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(body),
			Header: http.Header{"Content-Type": {"application/json"}}}, nil
	})}
}

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
