package judge

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"client-go-lessons/internal/observer"
)

// uncompressed asks the server not to compress an answer: Kubernetes 1.37 compresses a watch that
// begins with what there is, and the proxy does not look into compressed ones for events.
func uncompressed() observer.Fault {
	return observer.NewFault("not compressed", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Accept-Encoding")
			next.ServeHTTP(w, r)
		})
	})
}

// EndWhen ends an answer in good order once ended is closed, as the API server ends a watch whose
// time is up.
func EndWhen(ended <-chan struct{}) observer.Fault {
	return observer.NewFault("end of the watch", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			go func() {
				select {
				case <-ended:
					cancel()
				case <-ctx.Done():
				}
			}()
			defer func() {
				// Cutting off the server makes the proxy abort the answer. Returning ends it well.
				p := recover()
				if err, ok := p.(error); p != nil && (!ok || !errors.Is(err, http.ErrAbortHandler) || r.Context().Err() != nil) {
					panic(p)
				}
			}()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	})
}

// fromBefore tells whether a watch asks to go on from this version or an older one.
func fromBefore(version string) func(observer.Request) bool {
	return func(r observer.Request) bool {
		if r.Query.Get("sendInitialEvents") == "true" {
			return false // it begins anew
		}
		order, err := resourceversion.CompareResourceVersion(r.Query.Get("resourceVersion"), version)
		return err == nil && order <= 0
	}
}

// Horizon is the moment up to which a server has forgotten: now, until it is set to a version.
type Horizon struct {
	mu      sync.Mutex
	version string
}

// Set lets the server remember what came after a version.
func (h *Horizon) Set(version string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version = version
}

// Includes tells whether a watch asks to go on from a version that is forgotten.
func (h *Horizon) Includes(r observer.Request) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.version == "" {
		return r.Query.Get("sendInitialEvents") != "true"
	}
	return fromBefore(h.version)(r)
}

// Writes tells whether a request changes something.
func Writes(r observer.Request) bool {
	switch r.Verb {
	case "create", "update", "patch", "delete":
		return true
	}
	return false
}
