package observer

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// listener numbers the connections it accepts and knows which are open. It
// sits below TLS, so that a connection is what TCP calls one.
type listener struct {
	net.Listener
	journal *journal
	conns   sync.WaitGroup

	mu       sync.Mutex
	accepted int
	open     map[*conn]struct{}
}

func newListener(l net.Listener, j *journal) *listener {
	return &listener{Listener: l, journal: j, open: make(map[*conn]struct{})}
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.accepted++
	accepted := &conn{Conn: c, id: l.accepted, listener: l}
	l.open[accepted] = struct{}{}
	l.conns.Add(1)
	l.mu.Unlock()
	l.journal.opened(accepted.id)
	return accepted, nil
}

func (l *listener) resetAll() {
	l.mu.Lock()
	open := make([]*conn, 0, len(l.open))
	for c := range l.open {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		c.reset()
	}
}

func (l *listener) counts() (accepted, open int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted, len(l.open)
}

// conn is one client's TCP connection.
type conn struct {
	net.Conn
	id       int
	listener *listener
	once     sync.Once
}

// Close closes the connection.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.listener.mu.Lock()
		delete(c.listener.open, c)
		c.listener.mu.Unlock()
		c.listener.conns.Done()
		c.listener.journal.touch()
	})
	return err
}

// reset closes the connection so that the peer reads "connection reset by
// peer": without lingering, TCP sends RST instead of FIN.
func (c *conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

type connKey struct{}

// withConn lets a handler find the connection that its request came on.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn) // withConn has put it there
	return c
}

// OpenConnections returns how many client connections are open now.
func (o *Observer) OpenConnections() int {
	_, open := o.listener.counts()
	return open
}

// TotalConnections returns how many client connections there have been.
func (o *Observer) TotalConnections() int {
	accepted, _ := o.listener.counts()
	return accepted
}
