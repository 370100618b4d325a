package lesson

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"client-go-lessons/internal/wire"
)

// grace is how long a server may refuse watches that has just started.
const grace = 5 * time.Second

// technique runs the technique, and says what it did on the wire. It has connections of its own, so
// that what a step counts does not depend on whether the technique ran before.
func (r *Run) technique(ctx context.Context, t Technique) (err error) {
	var connections ownConnections
	defer connections.close()
	cfg := rest.CopyConfig(r.Config)
	cfg.DisableCompression = true // so that the sizes that are printed are those on the wire
	cfg.Dial = connections.dial
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if t.Informers {
		wire.StopQuietly(cfg)
		// The technique itself would wait for ever, as client-go's default is.
		wire.NoticeRefusals(cfg, grace, cancel)
	}
	counter := wire.Count(cfg)

	var others sync.WaitGroup
	if t.Meanwhile != nil {
		watching := firstWatch(cfg)
		others.Go(func() {
			select {
			case <-watching:
			case <-ctx.Done():
				return
			}
			if err := t.Meanwhile(ctx, r.Config, r.Namespace); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	err = r.indented(func() error { return t.Run(ctx, cfg, r.Namespace) })
	cause := context.Cause(ctx)
	cancel(nil)
	others.Wait()
	if err != nil {
		if cause != nil {
			return cause
		}
		return err
	}
	r.Wire(counter.Lap())
	return nil
}

// firstWatch returns a channel that is closed when the server has answered the first watch of a
// client that is made from cfg.
func firstWatch(cfg *rest.Config) <-chan struct{} {
	answered := make(chan struct{})
	var once sync.Once
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && wire.Verb(req) == "watch" {
				once.Do(func() { close(answered) })
			}
			return resp, err
		})
	})
	return answered
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// indented prints what f prints with fmt as a step's lines.
func (r *Run) indented(f func() error) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	screen := os.Stdout
	os.Stdout = in
	var printed sync.WaitGroup
	printed.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			r.Say("%s", lines.Text())
		}
	})
	err = f()
	os.Stdout = screen
	err = errors.Join(err, in.Close())
	printed.Wait()
	return err
}

// ownConnections are connections that nobody else uses: client-go shares none that a Dial function
// of one's own has opened.
type ownConnections struct {
	mu   sync.Mutex
	open []net.Conn
}

func (o *ownConnections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
	if err == nil {
		o.mu.Lock()
		o.open = append(o.open, conn)
		o.mu.Unlock()
	}
	return conn, err
}

func (o *ownConnections) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, conn := range o.open {
		_ = conn.Close()
	}
}
