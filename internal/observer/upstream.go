package observer

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// upstream is the observer's side towards the API server.
type upstream struct {
	url *url.URL
	// own adds the target's credentials to a request, bare adds none.
	own, bare http.RoundTripper
	// ownHTTP1 and bareHTTP1 are for requests that HTTP/2 has no form for: exec, attach and
	// port-forward upgrade their connection to another protocol.
	ownHTTP1, bareHTTP1 http.RoundTripper
	dial                func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	closed bool
	conns  map[*upstreamConn]struct{}
}

func newUpstream(target *rest.Config) (*upstream, error) {
	u := &upstream{conns: make(map[*upstreamConn]struct{})}
	config := rest.CopyConfig(target)
	// With the files' content in memory the transport needs no goroutine that
	// watches them for the rest of the process's life.
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, err
	}
	config.CAFile, config.CertFile, config.KeyFile = "", "", ""
	// A transport that asks for compression by itself also undoes it, and the
	// client would get other bytes than the server sent.
	config.DisableCompression = true
	config.UserAgent = ""
	// Dialing is the observer's own so that Close can close what was opened.
	// It also keeps the transport from being shared with other clients.
	u.dial = config.Dial
	if u.dial == nil {
		u.dial = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	config.Dial = u.dialContext

	var err error
	if u.url, _, err = rest.DefaultServerUrlFor(config); err != nil {
		return nil, err
	}
	if u.own, err = rest.TransportFor(config); err != nil {
		return nil, err
	}
	if u.bare, err = rest.TransportFor(rest.AnonymousClientConfig(config)); err != nil {
		return nil, err
	}
	config.NextProtos = []string{"http/1.1"}
	if u.ownHTTP1, err = rest.TransportFor(config); err != nil {
		return nil, err
	}
	u.bareHTTP1, err = rest.TransportFor(rest.AnonymousClientConfig(config))
	return u, err
}

// handler forwards a request to the API server and streams the answer back.
func (u *upstream) handler() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(u.url) },
		Transport:      u,
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0),
		ErrorHandler:   unreachable,
		ModifyResponse: watchForLoss,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			proxy.ServeHTTP(w, r)
			return
		}
		// The whole body first. A server may refuse a request before it has read it; then the proxy
		// waits for the rest of the body, which the client, having its answer, may never send.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if len(body) > 0 {
			r.Body = io.NopCloser(bytes.NewReader(body))
		} else {
			r.Body = http.NoBody
		}
		proxy.ServeHTTP(w, r)
	})
}

// RoundTrip sends a request with the token that it carries or, when it has
// none, with the target's credentials; see authenticate.
func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	own, bare := u.own, u.bare
	if r.Header.Get("Upgrade") != "" {
		own, bare = u.ownHTTP1, u.bareHTTP1
	}
	if r.Header.Get("Authorization") != "" {
		return bare.RoundTrip(r)
	}
	return own.RoundTrip(r)
}

type failureKey struct{}

// noteFailure enters into the record why there is no answer, or not all of one.
func noteFailure(ctx context.Context, err error) {
	if note, ok := ctx.Value(failureKey{}).(func(error)); ok {
		note(err)
	}
}

// unreachable treats the client as a dead server would. An answer such as 502
// would be one that no API server gives.
func unreachable(_ http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	noteFailure(r.Context(), err)
	panic(errResetConnection)
}

// watchForLoss makes the loss of the connection to the server in the middle
// of an answer a loss of the connection to the client.
func watchForLoss(r *http.Response) error {
	if r.StatusCode == http.StatusSwitchingProtocols {
		return nil // the proxy copies both ways, and ends one way when the other ends
	}
	r.Body = &lossyBody{ReadCloser: r.Body, ctx: r.Request.Context()}
	return nil
}

type lossyBody struct {
	io.ReadCloser
	ctx context.Context
}

func (b *lossyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	// The server may also break off a single stream; the two HTTP/2
	// implementations in use share no type for that, but the wording.
	if n == 0 && err != nil && err != io.EOF && b.ctx.Err() == nil && !strings.HasPrefix(err.Error(), "stream error:") {
		noteFailure(b.ctx, err)
		panic(errResetConnection)
	}
	return n, err
}

func (u *upstream) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := u.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	tracked := &upstreamConn{Conn: c, upstream: u}
	u.conns[tracked] = struct{}{}
	return tracked, nil
}

// close closes every connection to the API server. Closing the idle ones
// would not do: a transport takes a moment to see that a canceled request has
// left its connection idle.
func (u *upstream) close() {
	u.mu.Lock()
	u.closed = true
	conns := make([]*upstreamConn, 0, len(u.conns))
	for c := range u.conns {
		conns = append(conns, c)
	}
	u.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// upstreamConn forgets itself when it is closed.
type upstreamConn struct {
	net.Conn
	upstream *upstream
}

// Close closes the connection.
func (c *upstreamConn) Close() error {
	c.upstream.mu.Lock()
	delete(c.upstream.conns, c)
	c.upstream.mu.Unlock()
	return c.Conn.Close()
}
