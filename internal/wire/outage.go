package wire

import (
	"bytes"
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
	mu     sync.Mutex
	over   chan struct{} // closed unless there is an outage
	open   map[*brittleBody]bool
	tooOld int // watches that were cut and have not come back yet
}

// BreakWatches lets the caller cut the watches of all clients made from cfg from now on. Call it
// before [Count] on the same cfg, so that the counter sees what the client sees.
func BreakWatches(cfg *rest.Config) *Outage {
	o := &Outage{over: make(chan struct{}), open: map[*brittleBody]bool{}}
	close(o.over)
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return &roundTripper{next: rt, trip: o.roundTrip}
	})
	return o
}

// Begin breaks all watches that are open. Those that are opened from now on wait for the end.
func (o *Outage) Begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-o.over:
		o.over = make(chan struct{})
	default:
	}
	for body := range o.open {
		body.broken.Store(true)
		_ = body.ReadCloser.Close()
		delete(o.open, body)
		o.tooOld++
	}
}

// End lets watches through again. For each that was broken one is sent to the server like any
// other, but its answer is replaced by 410 Expired.
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
	tooOld, err := o.wait(req.Context())
	if err != nil {
		return nil, err
	}
	resp, err := rt.RoundTrip(req)
	switch {
	case err != nil || resp.StatusCode != http.StatusOK:
	case tooOld:
		_ = resp.Body.Close()
		resp.Header = http.Header{"Content-Type": {"application/json"}}
		resp.ContentLength = -1
		resp.Body = io.NopCloser(bytes.NewReader(expired()))
	default:
		resp.Body = o.brittle(resp.Body)
	}
	return resp, err
}

// wait returns when there is no outage, and whether this watch comes back from one.
func (o *Outage) wait(ctx context.Context) (tooOld bool, err error) {
	o.mu.Lock()
	over := o.over
	if tooOld = o.tooOld > 0; tooOld {
		o.tooOld--
	}
	o.mu.Unlock()
	select {
	case <-over:
		return tooOld, nil
	case <-ctx.Done():
		return tooOld, ctx.Err()
	}
}

func (o *Outage) brittle(body io.ReadCloser) io.ReadCloser {
	b := &brittleBody{ReadCloser: body, outage: o}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open[b] = true
	return b
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

// expired is the event by which a server says, in JSON, that it cannot resume a watch.
func expired() []byte {
	status := apierrors.NewResourceExpired("too old resource version (injected)").Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	event, err := json.Marshal(metav1.WatchEvent{
		Type: string(watch.Error), Object: runtime.RawExtension{Object: &status}})
	if err != nil {
		panic(err) // a Status holds nothing that cannot be encoded
	}
	return append(event, '\n')
}
