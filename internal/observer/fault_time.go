package observer

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// The faults in this file make a client wait. All of them end when the client
// gives up, when the request is aborted and when the observer is closed.

// Delay forwards a request after d.
func Delay(d time.Duration) Fault {
	return NewFault(fmt.Sprintf("delay %s", d), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
}

// NeverAnswer keeps the client waiting and does not forward the request. For
// a request that is carried out without the client being told, use HoldAnswer
// with a gate that stays shut.
func NeverAnswer() Fault {
	return NewFault("never answer", func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			pause(r.Context(), nil)
		})
	})
}

// Silent begins an answer as the API server does, and then neither sends a
// byte of it nor ends it. A watch stays open and says nothing.
func Silent() Fault {
	fault := HoldBody(NewGate())
	fault.name = "silent"
	return fault
}

// HoldRequest forwards a request when g is open.
func HoldRequest(g *Gate) Fault {
	return NewFault("hold request", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pause(r.Context(), g.opened())
			next.ServeHTTP(w, r)
		})
	})
}

// HoldAnswer forwards a request at once and begins its answer when g is open.
func HoldAnswer(g *Gate) Fault {
	return hold("hold answer", g, true)
}

// HoldBody forwards a request and the head of its answer at once, and passes
// bytes of the body, and its end, only while g is open. With the gate shut, a
// watch falls behind the cluster.
func HoldBody(g *Gate) Fault {
	return hold("hold body", g, false)
}

func hold(name string, g *Gate, head bool) Fault {
	return NewFault(name, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pauseForGate := func() { pause(r.Context(), g.opened()) }
			next.ServeHTTP(&gateWriter{ResponseWriter: w, head: head, pause: pauseForGate}, r)
			pauseForGate()
		})
	})
}

// gateWriter waits before it writes.
type gateWriter struct {
	http.ResponseWriter
	head  bool
	pause func()
}

// Unwrap lets an http.ResponseController flush the client's side.
func (w *gateWriter) Unwrap() http.ResponseWriter {
	return w.ResponseWriter
}

// WriteHeader sends the answer's head, at once unless that is held, too.
func (w *gateWriter) WriteHeader(status int) {
	if w.head {
		w.pause()
	}
	w.ResponseWriter.WriteHeader(status)
	flush(w.ResponseWriter)
}

// Write sends a part of the answer's body when the gate is open.
func (w *gateWriter) Write(p []byte) (int, error) {
	w.pause()
	return w.ResponseWriter.Write(p)
}

// Gate stops what is held by it until it is opened. It can be shut again.
type Gate struct {
	mu   sync.Mutex
	open chan struct{}
}

// NewGate returns a gate that is shut.
func NewGate() *Gate {
	return &Gate{open: make(chan struct{})}
}

// Open lets everything pass until Shut is called.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

// Shut stops everything that comes from now on.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		g.open = make(chan struct{})
	default:
	}
}

// opened returns a channel that is closed when the gate is open.
func (g *Gate) opened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}
