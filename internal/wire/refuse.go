package wire

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// Refuse makes the next n answers that clients of cfg receive an injected refusal with this HTTP
// status. The requests themselves are sent, so the server sees as many as the client counts; only
// the answer is replaced. A retryAfter of 0 leaves the Retry-After header out; else it is written
// in whole seconds, as HTTP wants it.
//
// Call it before [Count] on the same cfg, so that the counter sees what the client sees.
func Refuse(cfg *rest.Config, status, n int, retryAfter time.Duration) {
	var left atomic.Int64
	left.Store(int64(n))
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return &roundTripper{next: rt, trip: func(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := rt.RoundTrip(req)
			if err != nil || left.Add(-1) < 0 {
				return resp, err
			}
			_ = resp.Body.Close()
			text := http.StatusText(status) + " (injected)"
			refusal := &http.Response{
				Status: strconv.Itoa(status) + " " + text, StatusCode: status,
				Proto: resp.Proto, ProtoMajor: resp.ProtoMajor, ProtoMinor: resp.ProtoMinor,
				Header:  http.Header{"Content-Type": {"text/plain"}},
				Body:    io.NopCloser(bytes.NewBufferString(text)),
				Request: req,
			}
			if retryAfter > 0 {
				refusal.Header.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
			}
			return refusal, nil
		}}
	})
}
