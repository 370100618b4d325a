package wire

import (
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
	wrap(cfg, func(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := rt.RoundTrip(req)
		if err != nil || left.Add(-1) < 0 {
			return resp, err
		}
		text := http.StatusText(status) + " (injected)"
		resp.Status, resp.StatusCode = strconv.Itoa(status)+" "+text, status
		replace(resp, "text/plain", text)
		if retryAfter > 0 {
			resp.Header.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		}
		return resp, nil
	})
}
