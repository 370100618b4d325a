package wire

import (
	"context"
	"io"
	"net/http"

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
	wrapWatches(cfg, func(req *http.Request, body io.ReadCloser) io.ReadCloser {
		return &patientBody{newClosingBody(body), req.Context()}
	})
}

type patientBody struct {
	closingBody
	ctx context.Context // of the request
}

func (b *patientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.ctx.Err() != nil {
		<-b.closed
	}
	return n, err
}
