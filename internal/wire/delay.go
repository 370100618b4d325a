package wire

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Lag makes watch events arrive late, and holds them back. Everything else passes, so reads that go
// to the server stay fast while caches that a watch fills grow stale.
type Lag struct {
	mu   sync.Mutex
	d    time.Duration
	open chan struct{} // closed unless everything is held
}

// DelayWatches puts a delay line, of no delay at first, into the watches of all clients made from
// cfg from now on: each byte is seen that much later than it arrived, in order.
func DelayWatches(cfg *rest.Config) *Lag {
	l := &Lag{open: make(chan struct{})}
	close(l.open)
	wrapWatches(cfg, func(_ *http.Request, body io.ReadCloser) io.ReadCloser {
		b := &lateBody{closingBody: newClosingBody(body), lag: l, arrived: make(chan chunk, 1024)}
		go b.fetch()
		return b
	})
	return l
}

// Set makes what arrives from now on arrive d later.
func (l *Lag) Set(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.d = d
}

// Hold holds back what nobody has seen yet, until Release is called.
func (l *Lag) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
		l.open = make(chan struct{})
	default:
	}
}

// Release lets everything pass that was held back, and what follows.
func (l *Lag) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}

func (l *Lag) now() (d time.Duration, open <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.d, l.open
}

type chunk struct {
	bytes []byte
	err   error
	due   time.Time
}

// lateBody reads ahead in a goroutine of its own, so that it knows when each byte arrived.
type lateBody struct {
	closingBody
	lag     *Lag
	arrived chan chunk
	current chunk // of Read alone
}

// fetch ends with the body that it reads, or when nobody wants it any more.
func (b *lateBody) fetch() {
	p := make([]byte, 32<<10)
	for {
		n, err := b.ReadCloser.Read(p)
		d, _ := b.lag.now()
		select {
		case b.arrived <- chunk{bytes.Clone(p[:n]), err, time.Now().Add(d)}:
		case <-b.closed:
			return
		}
		if err != nil {
			return
		}
	}
}

// Read is called by one goroutine, as for every response body.
func (b *lateBody) Read(p []byte) (int, error) {
	if len(b.current.bytes) == 0 && b.current.err == nil {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.current.bytes)
	b.current.bytes = b.current.bytes[n:]
	if len(b.current.bytes) > 0 {
		return n, nil
	}
	return n, b.current.err
}

// next waits for a chunk to arrive, to be due, and to be let go.
func (b *lateBody) next() error {
	select {
	case b.current = <-b.arrived:
	case <-b.closed:
		return http.ErrBodyReadAfterClose
	}
	select {
	case <-time.After(time.Until(b.current.due)):
	case <-b.closed:
		return http.ErrBodyReadAfterClose
	}
	_, open := b.lag.now()
	select {
	case <-open:
		return nil
	case <-b.closed:
		return http.ErrBodyReadAfterClose
	}
}
