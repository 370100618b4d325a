package wire

import (
	"context"
	"io"
	"net/http"
	"sync"

	"k8s.io/client-go/rest"
)

// StopQuietly lets informers of all clients made from cfg from now on stop without a word.
//
// The context that stops an informer also ends its watch request. The reflector may notice the one
// first or the other; in the second case it logs that the watch ended with an error, in the middle
// of whatever a program prints. Here the end of a watch whose context is over is not seen before
// its reader stops it, as a reflector always does. A reader that never calls Stop would wait for
// ever: it is for informers only.
func StopQuietly(cfg *rest.Config) {
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return &roundTripper{next: rt, trip: func(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := rt.RoundTrip(req)
			if streams(req, resp, err) {
				resp.Body = &patientBody{ReadCloser: resp.Body, ctx: req.Context(), closed: make(chan struct{})}
			}
			return resp, err
		}}
	})
}

type patientBody struct {
	io.ReadCloser
	ctx    context.Context // of the request
	once   sync.Once
	closed chan struct{}
}

func (b *patientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.ctx.Err() != nil {
		<-b.closed
	}
	return n, err
}

func (b *patientBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}
