package wire

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// Outage cuts watches off for a while. Everything else passes.
//
// A watch that resumes after a short outage is told what it missed. An outage is long when the
// server has forgotten, by its end, where the watch was: it then answers 410 Expired, in the
// stream. That is the outage that this one injects.
type Outage struct {
	mu    sync.Mutex
	over  chan struct{} // closed unless there is an outage
	begun int           // outages so far
	open  map[*brittleBody]bool
	cut   int // watches that have not come back yet
}

// BreakWatches lets the caller cut the watches of all clients made from cfg from now on. Call it
// before [Count] on the same cfg, so that the counter sees what the client sees.
func BreakWatches(cfg *rest.Config) *Outage {
	o := &Outage{over: make(chan struct{}), open: map[*brittleBody]bool{}}
	close(o.over)
	wrap(cfg, o.roundTrip)
	return o
}

// Begin breaks all watches that are open or on their way. Those that are begun from now on wait for
// the end.
func (o *Outage) Begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-o.over:
		o.over = make(chan struct{})
		o.begun++
	default:
	}
	for body := range o.open {
		delete(o.open, body)
		o.cut++
		body.broken.Store(true)
		_ = body.ReadCloser.Close()
	}
}

// End lets watches through again. For each that was broken, one that wants to go on from a
// resourceVersion is sent to the server like any other, but its answer is replaced by 410 Expired.
func (o *Outage) End() {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-o.over:
	default:
		close(o.over)
	}
}

func (o *Outage) roundTrip(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	if Verb(req) != "watch" {
		return rt.RoundTrip(req)
	}
	begun, err := o.wait(req.Context())
	if err != nil {
		return nil, err
	}
	resp, err := rt.RoundTrip(req)
	if !streams(req, resp, err) {
		return resp, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	body := &brittleBody{ReadCloser: resp.Body, outage: o}
	switch {
	case begun != o.begun: // an outage began while the request was on its way
		o.cut++
		body.broken.Store(true)
		_ = body.ReadCloser.Close()
	case o.cut > 0 && resumes(req):
		o.cut--
		expire(resp)
		return resp, nil
	default:
		o.open[body] = true
	}
	resp.Body = body
	return resp, nil
}

// wait returns when there is no outage, and how many had begun.
func (o *Outage) wait(ctx context.Context) (begun int, err error) {
	o.mu.Lock()
	over, begun := o.over, o.begun
	o.mu.Unlock()
	select {
	case <-over:
		return begun, nil
	case <-ctx.Done():
		return begun, ctx.Err()
	}
}

// brittleBody is the body of a watch that an outage can break.
type brittleBody struct {
	io.ReadCloser
	outage *Outage
	broken atomic.Bool
}

func (b *brittleBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.broken.Load() {
		return 0, io.ErrUnexpectedEOF // as when a connection is lost
	}
	return n, err
}

func (b *brittleBody) Close() error {
	b.outage.mu.Lock()
	delete(b.outage.open, b)
	b.outage.mu.Unlock()
	return b.ReadCloser.Close()
}

// Expiry answers watches as an API server does that no longer has the changes since the asked
// resourceVersion: with one Error event, 410 Expired, and then the end of the stream.
type Expiry struct{ left atomic.Int64 }

// ExpireWatches puts an Expiry, of no watch at first, into the watches of all clients made from cfg
// from now on. The requests themselves are sent, so the server sees as many as the client counts;
// only the answer is replaced, and one that is not 200 is left as it is.
//
// Call it before [Count] on the same cfg, so that the counter sees what the client sees.
func ExpireWatches(cfg *rest.Config) *Expiry {
	e := &Expiry{}
	wrap(cfg, func(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := rt.RoundTrip(req)
		if streams(req, resp, err) && e.left.Add(-1) >= 0 {
			expire(resp)
		}
		return resp, err
	})
	return e
}

// Next makes the next n watches that begin expire at once.
func (e *Expiry) Next(n int) { e.left.Store(int64(n)) }

// resumes tells whether a watch wants to go on from where another ended: only that can be too old.
func resumes(req *http.Request) bool {
	version := req.URL.Query().Get("resourceVersion")
	return version != "" && version != "0"
}

// expire replaces the answer to a watch by the event that says, in JSON, that the server cannot
// resume it. Whatever encoding the client asked for, it reads the one that the answer names.
func expire(resp *http.Response) {
	status := apierrors.NewResourceExpired("too old resource version (injected)").Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	event, err := json.Marshal(metav1.WatchEvent{
		Type: string(watch.Error), Object: runtime.RawExtension{Object: &status}})
	if err != nil {
		panic(err) // a Status holds nothing that cannot be encoded
	}
	replace(resp, "application/json", string(event)+"\n")
}
