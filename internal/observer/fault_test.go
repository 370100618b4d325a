package observer

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

var contentTypes = []string{"application/json", "application/vnd.kubernetes.protobuf"}

func TestAnswerFaults(t *testing.T) {
	retryAfter := func(want int) func(error) bool {
		return func(err error) bool {
			seconds, ok := apierrors.SuggestsClientDelay(err)
			return apierrors.IsTooManyRequests(err) && seconds == want && ok == (want > 0)
		}
	}
	tests := []struct {
		fault Fault
		want  func(error) bool
	}{
		{TooManyRequests(0), retryAfter(0)},
		{TooManyRequests(1500 * time.Millisecond), retryAfter(2)},
		{ServerError(), apierrors.IsInternalError},
		{Unavailable(), apierrors.IsServiceUnavailable},
		{Forbidden(), func(err error) bool {
			return apierrors.IsForbidden(err) && strings.Contains(err.Error(), `cannot list resource "configmaps" in API group "" in the namespace "demo"`)
		}},
		{NotFound(), apierrors.IsNotFound},
		{NamespaceNotFound(), func(err error) bool {
			return apierrors.IsNotFound(err) && strings.Contains(err.Error(), `namespaces "demo" not found`)
		}},
		{Expired(), apierrors.IsResourceExpired},
	}
	_, o := setup(t)
	ctx := testContext(t)
	for _, contentType := range contentTypes {
		clientset := newClient(t, o, contentType)
		for _, test := range tests {
			t.Run(contentType+" "+test.fault.Name(), func(t *testing.T) {
				remove := o.Inject(Match{Verb: "list"}, test.fault)
				mark := o.Mark()
				if err := list(ctx, clientset); !test.want(err) {
					t.Errorf("got %v (%T)", err, err)
				}
				remove()
				if got := o.Since(mark).Requests[0].Injected; got != test.fault.Name() {
					t.Errorf("recorded as %q", got)
				}
				if err := list(ctx, clientset); err != nil {
					t.Errorf("after remove: %v", err)
				}
			})
		}
	}
}

func TestExpiredAtTheStartOfAWatch(t *testing.T) {
	_, o := setup(t)
	o.Inject(Match{Verb: "watch"}, Expired())
	_, err := newClient(t, o, "").CoreV1().ConfigMaps("demo").Watch(testContext(t), metav1.ListOptions{})
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("got %v, want expired", err)
	}
}

// TestEventFaults sends three events and says which types the client sees.
func TestEventFaults(t *testing.T) {
	const (
		end  = "end of the watch"
		open = "nothing more"
	)
	tests := []struct {
		fault Fault
		want  []string
	}{
		{CutAfterEvents(0), []string{"ERROR InternalError", end}},
		{CutAfterEvents(2), []string{"ADDED", "MODIFIED", "ERROR InternalError", end}},
		{EndAfterEvents(1), []string{"ADDED", end}},
		{ExpireAfterEvents(0), []string{"ERROR Expired", end}},
		{ExpireAfterEvents(2), []string{"ADDED", "MODIFIED", "ERROR Expired", end}},
		{GarbageAfterEvents(1), []string{"ADDED", "ERROR InternalError", end}},
		{OnlyEvents(watch.Modified), []string{"MODIFIED", open}},
		{BookmarksOnly(), []string{"BOOKMARK", open}},
		{Silent(), []string{open}},
	}
	for _, contentType := range contentTypes {
		for _, test := range tests {
			t.Run(contentType+" "+test.fault.Name(), func(t *testing.T) {
				f, o := setup(t)
				ctx := testContext(t)
				o.Inject(Match{Verb: "watch", Resource: "configmaps"}, test.fault)
				mark := o.Mark()
				w := startWatch(t, ctx, newClient(t, o, contentType))

				stop := make(chan struct{})
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for _, event := range []watch.EventType{watch.Added, watch.Modified, watch.Bookmark} {
						select {
						case f.events <- watch.Event{Type: event, Object: configMap("one")}:
						case <-stop:
							return
						}
					}
				}()
				for _, want := range test.want {
					if want == open {
						// All events have left the server; the watch must
						// neither bring one nor end.
						<-sent
						record := o.Since(mark)
						var events int
						for _, n := range record.Events() {
							events += n
						}
						if record.Open().Count() != 1 || events != len(test.want)-1 {
							t.Errorf("want %d events and an open watch: %s", len(test.want)-1, record)
						}
						break
					}
					event, ok := next(t, w)
					if got := describe(event, ok); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
				close(stop)
				<-sent
				w.Stop()
				record := ended(t, ctx, o, mark)
				if got := record.Requests[0].Injected; got != test.fault.Name() {
					t.Errorf("recorded as %q, want %q", got, test.fault.Name())
				}
				// These faults are about streams.
				if o.OpenConnections() != 1 {
					t.Errorf("%d connections open, want 1", o.OpenConnections())
				}
			})
		}
	}
}

func describe(event watch.Event, ok bool) string {
	if !ok {
		return "end of the watch"
	}
	if event.Type == watch.Error {
		return "ERROR " + string(apierrors.ReasonForError(apierrors.FromObject(event.Object)))
	}
	return string(event.Type)
}

func TestResetAfterEvents(t *testing.T) {
	f, o := setup(t)
	ctx := testContext(t)
	o.Inject(Match{Verb: "watch"}, ResetAfterEvents(1))
	mark := o.Mark()
	w := startWatch(t, ctx, newClient(t, o, ""))
	f.send(t, watch.Added, "one")
	// The reset may overtake the event, so the client sees it or does not.
	got := describe(next(t, w))
	if got == "ADDED" {
		got = describe(next(t, w))
	}
	if got != "end of the watch" {
		t.Errorf("got %s, want the end of the watch", got)
	}
	record := ended(t, ctx, o, mark)
	if record.Events()[watch.Added] != 1 || o.OpenConnections() != 0 {
		t.Errorf("%d connections open, want 0; want 1 ADDED; %s", o.OpenConnections(), record)
	}
}

func TestExpireIsCountedAsAnError(t *testing.T) {
	f, o := setup(t)
	ctx := testContext(t)
	o.Inject(Match{Verb: "watch"}, ExpireAfterEvents(1))
	mark := o.Mark()
	w := startWatch(t, ctx, newClient(t, o, ""))
	f.send(t, watch.Added, "one")
	next(t, w)
	next(t, w)
	if got := ended(t, ctx, o, mark).Events(); got[watch.Added] != 1 || got[watch.Error] != 1 {
		t.Errorf("events %v, want one ADDED and one ERROR", got)
	}
}

func TestEventFaultsLeaveListsAlone(t *testing.T) {
	_, o := setup(t)
	o.Inject(Match{}, CutAfterEvents(0))
	if err := list(testContext(t), newClient(t, o, "")); err != nil {
		t.Error(err)
	}
}

func TestByteFaults(t *testing.T) {
	tests := []struct {
		fault Fault
		want  func(error) bool
		// bytes is how much of the body was handed to the client.
		bytes int64
		// conns is how many connections are left open.
		conns int
	}{
		{ResetAtOnce(), connectionLost, 0, 0},
		{ResetAfterBytes(0), nil, 0, 0},
		{ResetAfterBytes(100), nil, 100, 0},
		{AbortAfterBytes(100), nil, 100, 1},
		{Truncate(100), nil, 100, 1},
	}
	for _, contentType := range contentTypes {
		for _, test := range tests {
			t.Run(contentType+" "+test.fault.Name(), func(t *testing.T) {
				_, o := setup(t)
				ctx := testContext(t)
				clientset := newClient(t, o, contentType)
				o.Inject(Match{Verb: "list"}, test.fault)
				mark := o.Mark()
				_, err := clientset.CoreV1().RESTClient().Get().Namespace("demo").Resource("configmaps").
					MaxRetries(0).Do(ctx).Get()
				if err == nil || test.want != nil && !test.want(err) {
					t.Errorf("got %v (%T)", err, err)
				}
				record := ended(t, ctx, o, mark)
				if record.Bytes() != test.bytes || o.OpenConnections() != test.conns {
					t.Errorf("%d connections open, want %d; want %d bytes; %s", o.OpenConnections(), test.conns, test.bytes, record)
				}
			})
		}
	}
}

func TestByteFaultsSpareShorterAnswers(t *testing.T) {
	_, o := setup(t)
	o.Inject(Match{}, ResetAfterBytes(1<<20))
	if err := list(testContext(t), newClient(t, o, "")); err != nil {
		t.Error(err)
	}
}

func TestDelay(t *testing.T) {
	const d = 50 * time.Millisecond
	_, o := setup(t)
	ctx := testContext(t)
	o.Inject(Match{}, Delay(d))
	mark := o.Mark()
	if err := list(ctx, newClient(t, o, "")); err != nil {
		t.Fatal(err)
	}
	if got := ended(t, ctx, o, mark).Requests[0].Duration; got < d {
		t.Errorf("took %v, want at least %v", got, d)
	}
}

func TestNeverAnswerEndsWithTheClient(t *testing.T) {
	_, o := setup(t)
	ctx := testContext(t)
	o.Inject(Match{}, NeverAnswer())
	impatient, cancel := context.WithCancel(ctx)
	mark := o.Mark()
	failed := make(chan error, 1)
	clientset := newClient(t, o, "")
	go func() { failed <- list(impatient, clientset) }()
	if _, err := o.Wait(ctx, mark, func(r Record) bool { return r.Open().Count() == 1 }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if record := ended(t, ctx, o, mark); record.Requests[0].Status != 0 {
		t.Errorf("got %s, want no status", record)
	}
}

func TestHoldBodyHoldsAWatchAndNothingElse(t *testing.T) {
	f, o := setup(t)
	ctx := testContext(t)
	gate := NewGate()
	o.Inject(Match{Verb: "watch"}, HoldBody(gate))
	// A fault nearer to the server tells when an event has come to the gate.
	arrived := make(chan struct{}, 2)
	o.Inject(Match{Verb: "watch"}, onEvents("told", func(w *eventWriter) {
		w.keep = func(frame) bool { arrived <- struct{}{}; return true }
	}))
	clientset := newClient(t, o, "")
	mark := o.Mark()
	w := startWatch(t, ctx, clientset)
	f.send(t, watch.Added, "one")
	<-arrived
	if err := list(ctx, clientset); err != nil {
		t.Fatal(err)
	}
	if got := o.Since(mark).Events(); len(got) != 0 {
		t.Errorf("events %v passed a shut gate", got)
	}
	gate.Open()
	if event, _ := next(t, w); event.Type != watch.Added {
		t.Errorf("got %v, want ADDED", event)
	}

	gate.Shut()
	f.send(t, watch.Modified, "one")
	<-arrived
	if got := o.Since(mark).Events()[watch.Modified]; got != 0 {
		t.Errorf("an event passed a gate that was shut again")
	}
	gate.Open()
	if event, _ := next(t, w); event.Type != watch.Modified {
		t.Errorf("got %v, want MODIFIED", event)
	}
}

func TestHoldRequestAndAnswer(t *testing.T) {
	gate := NewGate()
	for _, fault := range []Fault{HoldRequest(gate), HoldAnswer(gate)} {
		t.Run(fault.Name(), func(t *testing.T) {
			_, o := setup(t)
			ctx := testContext(t)
			gate.Shut()
			// Another fault nearer to the server tells whether the request
			// has been forwarded.
			forwarded := make(chan struct{})
			o.Inject(Match{}, fault)
			o.Inject(Match{}, NewFault("told", func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(forwarded)
					next.ServeHTTP(w, r)
				})
			}))
			mark := o.Mark()
			clientset := newClient(t, o, "")
			done := make(chan error, 1)
			go func() { done <- list(ctx, clientset) }()
			if fault.Name() == "hold answer" {
				<-forwarded
			}
			record, err := o.Wait(ctx, mark, func(r Record) bool { return r.Count() == 1 })
			if err != nil {
				t.Fatal(err)
			}
			if got := record.Requests[0]; got.Status != 0 || got.Injected != fault.Name()+"+told" {
				t.Errorf("got %s, want no status yet", got)
			}
			gate.Open()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOccurrences(t *testing.T) {
	_, o := setup(t)
	ctx := testContext(t)
	clientset := newClient(t, o, "")
	o.Inject(Match{Verb: "list", From: 2, To: 3}, ServerError())
	// A request that does not match is no occurrence.
	if _, err := clientset.CoreV1().ConfigMaps("demo").Get(ctx, "one", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, wantErr := range []bool{false, true, true, false, false} {
		if err := list(ctx, clientset); (err != nil) != wantErr {
			t.Errorf("list %d: %v, want an error: %v", i+1, err, wantErr)
		}
	}
}

func TestMatch(t *testing.T) {
	request := Request{Verb: "get", Resource: "configmaps", Namespace: "demo", Name: "one"}
	tests := []struct {
		match Match
		want  bool
	}{
		{Match{}, true},
		{Match{Verb: "get", Resource: "configmaps", Namespace: "demo", Name: "one"}, true},
		{Match{Verb: "list"}, false},
		{Match{Resource: "secrets"}, false},
		{Match{Namespace: "other"}, false},
		{Match{Name: "two"}, false},
		{Match{Func: func(r Request) bool { return r.Name == "one" }}, true},
		{Match{Func: func(Request) bool { return false }}, false},
	}
	for i, test := range tests {
		if got := test.match.matches(request); got != test.want {
			t.Errorf("match %d: got %v, want %v", i, got, test.want)
		}
	}
}
