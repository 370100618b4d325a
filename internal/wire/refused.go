package wire

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// NoticeRefusals calls tell with the server's error when it refuses, with 401 or 403, an informer of
// a client made from cfg from now on: at once when it refuses a list, and when it still refuses
// watches after grace. An informer has a list to fall back to, and tries for ever. A server that has
// just started refuses watches of anybody.
func NoticeRefusals(cfg *rest.Config, grace time.Duration, tell func(error)) {
	var mu sync.Mutex
	var since time.Time // the first of the watches refused in a row
	wrap(cfg, func(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := rt.RoundTrip(req)
		verb := Verb(req)
		if err != nil || verb != "list" && verb != "watch" {
			return resp, err
		}
		refused := resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized
		mu.Lock()
		defer mu.Unlock()
		switch {
		case refused && verb == "list", refused && !since.IsZero() && time.Since(since) > grace:
			tell(statusOf(resp))
		case refused && since.IsZero():
			since = time.Now()
		case !refused && verb == "watch":
			since = time.Time{}
		}
		return resp, nil
	})
}

// statusOf reads the error in an answer, and leaves the answer as it is.
func statusOf(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return err
	}
	return apierrors.FromObject(object)
}
