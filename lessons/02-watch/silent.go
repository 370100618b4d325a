package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// silent cuts the network under a watch: nothing arrives any more, and nobody says so, as when a
// firewall forgets a connection. A watch may have nothing to tell for minutes, so silence alone
// proves nothing. Over HTTP/2 client-go asks: after 30 s of silence it sends a ping, and if no
// answer comes within 15 s, it closes the connection. Two environment variables change these times
// for the transports that are made afterwards. Over HTTP/1.1 there is no ping.
func (f *follow) silent(ctx context.Context, run *lesson.Run) error {
	defer setenv("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "1")() // 30 by default
	defer setenv("HTTP2_PING_TIMEOUT_SECONDS", "1")()      // 15 by default
	network := &network{}
	cfg := rest.CopyConfig(f.config)
	cfg.Dial = network.dial
	counter := wire.Count(cfg)
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	w, err := clientset.CoreV1().ConfigMaps(f.ns).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	if proto := counter.Lap().Proto; proto != "HTTP/2.0" {
		run.Say("No HTTP/2 here, so no ping. TCP's keep-alive would notice, minutes later.")
		return nil
	}

	network.cut.Store(true) // injected
	start := time.Now()
	for range w.ResultChan() { // until the watch ends
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	run.Say("the network is cut (injected); a ping after 1 s, and 1 s to answer it")
	run.Say("the watch ended after %s", lesson.Duration(time.Since(start)))
	run.Say("By default the ping comes after 30 s and may take 15 s. Until then your")
	run.Say("program believes that nothing changes.")
	return nil
}

// setenv sets an environment variable until the function that it returns is called.
func setenv(name, value string) (restore func()) {
	before, set := os.LookupEnv(name)
	_ = os.Setenv(name, value)
	return func() {
		if set {
			_ = os.Setenv(name, before)
		} else {
			_ = os.Unsetenv(name)
		}
	}
}

// network makes connections that can be cut: nothing passes any more, in either direction.
type network struct{ cut atomic.Bool }

func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, kind, address)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: conn, network: n, closed: make(chan struct{})}, nil
}

type cutConn struct {
	net.Conn
	network *network
	once    sync.Once
	closed  chan struct{}
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.network.cut.Load() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	if c.network.cut.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *cutConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
