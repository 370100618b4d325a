// Package observer puts a reverse proxy between a program and its Kubernetes
// API server, so that a test can count on the wire what the program did,
// without having to believe what the program says about itself.
//
// An Observer serves TLS and HTTP/2 on a free port of 127.0.0.1. Whatever
// arrives is forwarded to the real server, answers stream back unchanged and
// without delay, and each request leaves an entry in the record: verb,
// resource, connection, status, bytes and, for a watch, how many events of
// which type went by. Faults can be injected between the two; see Fault.
//
//	o, err := observer.Start(adminConfig)
//	...
//	defer o.Close()
//	err = o.Kubeconfig(path, "observed")
//	mark := o.Mark()
//	// run the program with KUBECONFIG=path
//	lists := o.Since(mark).Verb("list", "configmaps")
//
// # Credentials
//
// A proxy that terminates TLS cannot hand a client certificate through. So the
// observer makes a random bearer token when it starts, writes it into its
// kubeconfig, and forwards the requests that carry it with the credentials of
// the target's rest.Config. A request with another token is forwarded with
// that one, over a connection that holds no credentials of the observer's own:
// a service account's token gives that account's rights and no more. A request
// without a token is refused with 401 and leaves no entry in the record: other
// users of the machine can reach the port, too.
package observer

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Observer is a running proxy. Its methods may be called from any goroutine.
type Observer struct {
	authority *authority
	token     string // who sends it has the target's rights
	listener  *listener
	server    *http.Server
	upstream  *upstream
	journal   *journal
	rules     rules

	// stop ends every request under way, also one that a fault is holding.
	stop context.CancelFunc
	// served is closed once the accept loop has returned.
	served    chan struct{}
	handlers  sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
}

// Option changes how an Observer serves.
type Option func(*options)

type options struct {
	http1Only, details, withoutRecord bool
}

// WithDetails makes the observer look into what passes for the metadata of single objects, and ask
// the server not to compress watches, in whose compressed form it sees no events.
func WithDetails() Option {
	return func(o *options) { o.details = true }
}

// WithoutRecord makes the observer keep no record, so that it needs no more memory the longer it
// runs: Since and Wait show no requests, and Abort finds none. Follow shows all.
func WithoutRecord() Option {
	return func(o *options) { o.withoutRecord = true }
}

// WithHTTP1Only makes the observer refuse HTTP/2, as some proxies in front of
// an API server do. Each open watch then holds a connection of its own.
func WithHTTP1Only() Option {
	return func(o *options) { o.http1Only = true }
}

// Start starts an observer in front of the server that target speaks to. The
// server need not be up yet: as long as it cannot be reached, the observer
// resets its clients' connections. The caller must Close the observer.
func Start(target *rest.Config, opts ...Option) (*Observer, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}

	authority, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("observer: making a certificate: %w", err)
	}
	upstream, err := newUpstream(target)
	if err != nil {
		return nil, fmt.Errorf("observer: connecting to %s: %w", target.Host, err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("observer: opening a port: %w", err)
	}

	ctx, stop := context.WithCancel(context.Background())
	ob := &Observer{
		authority: authority,
		token:     rand.Text(),
		upstream:  upstream,
		journal:   newJournal(o),
		stop:      stop,
		served:    make(chan struct{}),
	}
	ob.listener = newListener(tcp, ob.journal)
	ob.server = newServer(ctx, ob, o)
	go func() {
		defer close(ob.served)
		// Serve returns when Close closes the listener, and only then.
		_ = ob.server.ServeTLS(ob.listener, "", "")
	}()
	return ob, nil
}

func newServer(ctx context.Context, ob *Observer, o options) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(!o.http1Only)
	return &http.Server{
		Handler:           http.HandlerFunc(ob.authenticate),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withConn,
		ErrorLog:          log.New(panicsOnly{}, "", 0),
		ReadHeaderTimeout: 30 * time.Second,
		Protocols:         protocols,
		// The API server allows 100 streams a connection. With Go's own
		// default, the observer would see fewer connections than it does.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 100},
		TLSConfig: &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: ob.authority.certificate,
			// A resumed session would skip the check of a rotated certificate.
			SessionTicketsDisabled: true,
		},
	}
}

// URL returns the address that clients connect to, such as
// https://127.0.0.1:40123.
func (o *Observer) URL() string {
	return "https://" + o.listener.Addr().String()
}

// Close ends every request, closes the port and all connections on both
// sides, and returns when nothing of the observer runs any more. The record
// can still be read. Further calls return what the first one returned.
func (o *Observer) Close() error {
	o.closeOnce.Do(func() {
		o.journal.close()
		if err := o.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			o.closeErr = fmt.Errorf("observer: closing: %w", err)
		}
		<-o.served
		o.listener.resetAll()
		// Only now, so that clients see a server that is gone and not one
		// that ends their streams in good order.
		o.stop()
		o.handlers.Wait()
		o.listener.conns.Wait()
		o.upstream.close()
		o.journal.finish()
	})
	return o.closeErr
}

// CloseConnections resets every client connection, as when a load balancer
// drops its state. Requests under way on them fail.
func (o *Observer) CloseConnections() {
	o.listener.resetAll()
}

// Abort breaks off every request under way for which match is true, and
// returns how many there were. On HTTP/2 the stream ends with an error and
// the connection stays; see CutAfterEvents for what client-go makes of it.
func (o *Observer) Abort(match func(Request) bool) int {
	return o.journal.abort(match)
}

// RotateCertificate makes the observer present another certificate to every
// connection opened from now on, and resets those that are open. With sameCA
// the certificate comes from the authority that the kubeconfigs already
// written trust; without, from a new one, which their users must refuse.
func (o *Observer) RotateCertificate(sameCA bool) error {
	if err := o.authority.rotate(sameCA); err != nil {
		return fmt.Errorf("observer: rotating the certificate: %w", err)
	}
	o.CloseConnections()
	return nil
}

// A handler ends an answer early by panicking with one of these, or with
// http.ErrAbortHandler, which breaks off the stream.
var (
	// errEndAnswer ends the answer as if it were complete.
	errEndAnswer = errors.New("observer: end the answer here")
	// errResetConnection resets the TCP connection with all its streams.
	errResetConnection = errors.New("observer: reset the connection")
)

// authenticate lets a request through if it carries a token, the observer's own or one that the
// API server is to judge.
func (o *Observer) authenticate(w http.ResponseWriter, r *http.Request) {
	own := []byte("Bearer " + o.token)
	switch sent := r.Header.Get("Authorization"); {
	case sent == "":
		http.Error(w, "the observer wants the token of the kubeconfig that it wrote", http.StatusUnauthorized)
		return
	case subtle.ConstantTimeCompare([]byte(sent), own) == 1:
		r.Header.Del("Authorization") // the target's credentials take its place
	}
	o.serve(w, r)
}

// serve records one request and passes it through the faults that match it to
// the API server.
func (o *Observer) serve(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()

	request := parseRequest(r)
	request.Conn = connOf(ctx).id
	if o.journal.details {
		readSent(&request, r)
	}
	faults := o.rules.matching(request)
	request.Injected = names(faults)
	entry := o.begin(request, cancel)
	if entry == nil {
		panic(http.ErrAbortHandler)
	}
	defer o.handlers.Done()
	answer := &recorder{ResponseWriter: w, journal: o.journal, entry: entry}
	by := ByServer
	defer func() {
		got, hash := answer.body.finish(by)
		o.journal.end(entry, by, got, hash)
	}()
	defer func() {
		p := recover()
		by = endedBy(r.Context(), p, request.Injected)
		switch p {
		case nil, errEndAnswer:
		case errResetConnection:
			connOf(ctx).reset()
			panic(http.ErrAbortHandler)
		default:
			panic(p)
		}
	}()

	handler := o.upstream.handler()
	for i := len(faults) - 1; i >= 0; i-- {
		handler = faults[i].wrap(handler)
	}
	ctx = context.WithValue(ctx, requestKey{}, entry.snapshot)
	ctx = context.WithValue(ctx, failureKey{}, func(err error) { o.journal.failed(entry, err) })
	handler.ServeHTTP(answer, r.WithContext(ctx))
}

// endedBy says who ended an answer whose handler panicked with p, or with nothing.
func endedBy(client context.Context, p any, injected string) EndedBy {
	switch {
	case client.Err() != nil:
		return ByClient
	case p == nil:
		return ByServer
	case injected != "":
		return ByFault
	}
	return ByLoss
}

// begin adds a request to the record, unless the observer is closing.
func (o *Observer) begin(request Request, cancel context.CancelFunc) *entry {
	return o.journal.begin(request, cancel, func() { o.handlers.Add(1) })
}

// panicsOnly keeps a server's log silent about broken connections, which are
// this package's business, but not about a fault that panics.
type panicsOnly struct{}

func (panicsOnly) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "panic serving") {
		return log.Writer().Write(p)
	}
	return io.Discard.Write(p)
}
