package wire

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
)

// trip answers a request. The RoundTripper is the transport that was wrapped.
type trip func(http.RoundTripper, *http.Request) (*http.Response, error)

// wrap hands the requests of all clients made from cfg from now on to trip.
func wrap(cfg *rest.Config, trip trip) {
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return &roundTripper{rt, trip} })
}

// wrapWatches puts body around the streams of events that those clients get.
func wrapWatches(cfg *rest.Config, body func(*http.Request, io.ReadCloser) io.ReadCloser) {
	wrap(cfg, func(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := rt.RoundTrip(req)
		if streams(req, resp, err) {
			resp.Body = body(req, resp.Body)
		}
		return resp, err
	})
}

// streams tells whether events follow. The body of a refusal is no stream: client-go reads it to its
// end before Watch returns, and nobody is there yet who could stop it.
func streams(req *http.Request, resp *http.Response, err error) bool {
	return err == nil && resp.StatusCode == http.StatusOK && Verb(req) == "watch"
}

// replace puts another body in the place of that of an answer, which the server has sent.
func replace(resp *http.Response, mediaType, body string) {
	_ = resp.Body.Close()
	resp.Header = http.Header{"Content-Type": {mediaType}}
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(strings.NewReader(body))
}

type roundTripper struct {
	next http.RoundTripper
	trip trip
}

func (r *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.trip(r.next, req)
}

// WrappedRoundTripper lets client-go find the transport inside, for instance to close its idle
// connections (k8s.io/apimachinery/pkg/util/net.RoundTripperWrapper).
func (r *roundTripper) WrappedRoundTripper() http.RoundTripper { return r.next }

// closingBody is a body whose reader may have to wait for more than bytes: closed ends its wait.
type closingBody struct {
	io.ReadCloser
	once   sync.Once
	closed chan struct{}
}

func newClosingBody(body io.ReadCloser) closingBody {
	return closingBody{ReadCloser: body, closed: make(chan struct{})}
}

func (b *closingBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}
