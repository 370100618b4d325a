package wire

import (
	"bytes"
	"io"
	"net/http"
	"sync"

	"k8s.io/client-go/rest"
)

// Expiry answers watches as an API server does that no longer has the changes since the asked
// resourceVersion: with one Error event, 410 Expired, and then the end of the stream.
type Expiry struct {
	mu   sync.Mutex
	left int
}

// ExpireWatches puts an Expiry, of no watch at first, into the watches of all clients made from cfg
// from now on. The requests themselves are sent, so the server sees as many as the client counts;
// only the answer is replaced, and one that is not 200 is left as it is.
//
// Call it before [Count] on the same cfg, so that the counter sees what the client sees.
func ExpireWatches(cfg *rest.Config) *Expiry {
	e := &Expiry{}
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return &roundTripper{next: rt, trip: e.roundTrip}
	})
	return e
}

// Next makes the next n watches that begin expire at once.
func (e *Expiry) Next(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.left = n
}

// take tells whether this watch is one of the next n.
func (e *Expiry) take() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left == 0 {
		return false
	}
	e.left--
	return true
}

func (e *Expiry) roundTrip(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	resp, err := rt.RoundTrip(req)
	if err != nil || Verb(req) != "watch" || resp.StatusCode != http.StatusOK || !e.take() {
		return resp, err
	}
	_ = resp.Body.Close()
	answer := *resp
	answer.Header = resp.Header.Clone()
	// Whatever encoding the client asked for, it reads the one that the answer names.
	answer.Header.Set("Content-Type", "application/json")
	answer.Header.Del("Content-Encoding")
	answer.ContentLength = -1
	answer.Body = io.NopCloser(bytes.NewReader(expired()))
	return &answer, nil
}
