package wire

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// Gate holds the bytes of watch responses back while it is shut. Everything else passes, so reads
// that go to the server stay fast while caches fed by a watch grow stale.
type Gate struct {
	mu   sync.Mutex
	open chan struct{} // closed while the gate is open
}

// HoldWatches puts a gate, open at first, into the watches of all clients made from cfg from now on.
func HoldWatches(cfg *rest.Config) *Gate {
	g := &Gate{open: make(chan struct{})}
	close(g.open)
	wrapWatches(cfg, func(body io.ReadCloser) io.ReadCloser {
		return &gatedBody{ReadCloser: body, gate: g, closed: make(chan struct{})}
	})
	return g
}

// Shut holds back what arrives from now on.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		g.open = make(chan struct{})
	default:
	}
}

// Open lets everything pass that was held back, and what follows.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *Gate) opened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

type gatedBody struct {
	io.ReadCloser
	gate   *Gate
	once   sync.Once
	closed chan struct{}
}

// Read reads first and waits after: what the gate holds has arrived, only nobody has seen it yet.
func (b *gatedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	select {
	case <-b.gate.opened():
		return n, err
	case <-b.closed:
		return 0, http.ErrBodyReadAfterClose
	}
}

func (b *gatedBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}

// Lag makes watch events arrive late.
type Lag struct{ d atomic.Int64 }

// DelayWatches puts a delay line, of no delay at first, into the watches of all clients made from
// cfg from now on: each byte is seen that much later than it arrived, in order.
func DelayWatches(cfg *rest.Config) *Lag {
	l := &Lag{}
	wrapWatches(cfg, func(body io.ReadCloser) io.ReadCloser { return newDelayedBody(body, l) })
	return l
}

// Set makes what arrives from now on arrive d later.
func (l *Lag) Set(d time.Duration) { l.d.Store(int64(d)) }

type chunk struct {
	bytes []byte
	err   error
	due   time.Time
}

// delayedBody reads ahead in a goroutine of its own, which ends with the body it reads.
type delayedBody struct {
	io.ReadCloser
	once    sync.Once
	closed  chan struct{}
	arrived *sync.Cond
	queue   []chunk // guarded by arrived.L
	current chunk   // of Read alone
}

func newDelayedBody(body io.ReadCloser, lag *Lag) *delayedBody {
	b := &delayedBody{ReadCloser: body, closed: make(chan struct{}), arrived: sync.NewCond(&sync.Mutex{})}
	go func() {
		for {
			p := make([]byte, 32<<10)
			n, err := body.Read(p)
			due := time.Now().Add(time.Duration(lag.d.Load()))
			b.arrived.L.Lock()
			b.queue = append(b.queue, chunk{p[:n], err, due})
			b.arrived.L.Unlock()
			b.arrived.Signal()
			if err != nil {
				return
			}
		}
	}()
	return b
}

// Read is called by one goroutine, as for every response body.
func (b *delayedBody) Read(p []byte) (int, error) {
	for len(b.current.bytes) == 0 {
		if b.current.err != nil {
			return 0, b.current.err
		}
		b.arrived.L.Lock()
		for len(b.queue) == 0 {
			b.arrived.Wait() // a closed body ends in an error, so something always comes
		}
		b.current, b.queue = b.queue[0], b.queue[1:]
		b.arrived.L.Unlock()

		wait := time.NewTimer(time.Until(b.current.due))
		select {
		case <-wait.C:
		case <-b.closed:
			wait.Stop()
			return 0, http.ErrBodyReadAfterClose
		}
	}
	n := copy(p, b.current.bytes)
	b.current.bytes = b.current.bytes[n:]
	return n, nil
}

func (b *delayedBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}

func wrapWatches(cfg *rest.Config, wrap func(io.ReadCloser) io.ReadCloser) {
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return &roundTripper{next: rt, trip: func(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := rt.RoundTrip(req)
			if streams(req, resp, err) {
				resp.Body = wrap(resp.Body)
			}
			return resp, err
		}}
	})
}

// streams tells whether events follow. The body of a refusal is no stream: client-go reads it to its
// end before Watch returns, and nobody is there yet who could stop it.
func streams(req *http.Request, resp *http.Response, err error) bool {
	return err == nil && resp.StatusCode == http.StatusOK && Verb(req) == "watch"
}
