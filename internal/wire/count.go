// Package wire shows what client-go does on the network: how many requests it sends, over how many
// connections, how many bytes come back. It wraps a client's transport and leaves everything else
// as it is, so that what a lesson counts is what plain client-go does.
//
// [Count] counts. Others make happen on demand what a busy cluster does by itself: [DelayWatches]
// makes watch events late or holds them back, [BreakWatches] and [ExpireWatches] end watches, and
// [Refuse] answers in the server's place. Whatever they do is to be called injected wherever it is
// shown.
package wire

import (
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Counter counts what clients made from one rest.Config do on the wire. Its methods can be called
// from several goroutines.
type Counter struct {
	mu      sync.Mutex
	lap     Lap
	conns   map[netip.AddrPort]bool // local addresses of the connections seen so far
	waited  func() time.Duration
	watches int // open now
	laps    int // that are over
}

// Count makes cfg count: every client made from cfg, or from a copy of it, after this call.
//
// It wraps the transport and does not set Dial, because client-go shares one transport, and so its
// connections, between all clients of the same server and credentials, and a Dial function would
// end that (client-go/transport/cache.go).
func Count(cfg *rest.Config) *Counter {
	c := &Counter{conns: map[netip.AddrPort]bool{}, lap: newLap(), waited: throttled()}
	wrap(cfg, c.roundTrip)
	return c
}

// Lap returns what was counted since the last call of Lap, or since Count.
func (c *Counter) Lap() Lap {
	c.mu.Lock()
	defer c.mu.Unlock()
	lap := c.lap
	lap.Throttled = c.waited()
	lap.OpenWatches = c.watches
	c.lap = newLap()
	c.laps++
	return lap
}

func (c *Counter) roundTrip(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	verb := Verb(req)
	c.mu.Lock()
	c.lap.Requests[verb]++
	if verb == "watch" {
		c.watches++
	}
	begun := c.laps
	c.mu.Unlock()

	// A trace of its own for each request: WithClientTrace writes what the context has into it.
	trace := &httptrace.ClientTrace{GotConn: c.gotConn}
	resp, err := rt.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		if verb == "watch" {
			c.watchEnded()
		}
		return resp, err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.lap.Proto = resp.Proto
	c.lap.Status[resp.StatusCode]++
	c.lap.FlowSchema = types.UID(resp.Header.Get("X-Kubernetes-Pf-Flowschema-Uid"))
	c.lap.PriorityLevel = types.UID(resp.Header.Get("X-Kubernetes-Pf-Prioritylevel-Uid"))
	body := &countingBody{ReadCloser: resp.Body, counter: c, begun: begun}
	body.watch.Store(verb == "watch")
	resp.Body = body
	return resp, nil
}

func (c *Counter) gotConn(info httptrace.GotConnInfo) {
	var addr netip.AddrPort
	if tcp, ok := info.Conn.LocalAddr().(*net.TCPAddr); ok {
		addr = tcp.AddrPort() // a lookup for each request: made of numbers, it needs no memory
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.conns[addr] {
		c.conns[addr] = true
		c.lap.Connections++
	}
}

func (c *Counter) watchEnded() {
	c.mu.Lock()
	c.watches--
	c.mu.Unlock()
}

// countingBody counts the bytes of a response as its reader takes them: after decompression, which
// the transport does below it. So a lesson that prints them asks for none (DisableCompression).
type countingBody struct {
	io.ReadCloser
	counter *Counter
	begun   int         // the number of laps that were over when the request was sent
	watch   atomic.Bool // it is that of a watch which has not ended yet
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.counter.mu.Lock()
	if b.watch.Load() && b.begun < b.counter.laps {
		b.counter.lap.Events += int64(n)
	} else {
		b.counter.lap.Bytes += int64(n)
	}
	b.counter.mu.Unlock()
	if err != nil {
		b.end()
	}
	return n, err
}

func (b *countingBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// end is called when the body is closed and when it has been read to its end: both may happen.
func (b *countingBody) end() {
	if b.watch.CompareAndSwap(true, false) {
		b.counter.watchEnded()
	}
}
