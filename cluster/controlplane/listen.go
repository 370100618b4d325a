//go:build controlplane

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// A new cluster's port is taken from this range. It lies below the ports that
// systems give to outgoing connections, so that nobody's client is sitting on it
// by chance when a killed control plane comes back for its port.
const firstPort, lastPort = 20000, 30000

// releaseTimeout is how long a predecessor that has just been killed may still
// have the port.
const releaseTimeout = time.Second

// listen opens the API server's port and writes its number to the file port, so
// that the next start can ask for the same one.
func listen(o options) (net.Listener, error) {
	l, err := open(o.port)
	if errors.Is(err, syscall.EADDRINUSE) && o.anyPort {
		fmt.Fprintf(os.Stderr, "controlplane: port %d is taken, using a free one\n", o.port)
		l, err = open(0)
	}
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	return l, writeFile(filepath.Join(o.dir, "port"), []byte(port+"\n"))
}

// open opens the port on the loopback interface, or a free one for 0.
func open(port int) (net.Listener, error) {
	try := func(port int) (net.Listener, error) {
		return net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	if port != 0 {
		for deadline := time.Now().Add(releaseTimeout); ; time.Sleep(50 * time.Millisecond) {
			l, err := try(port)
			if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
				return l, err
			}
		}
	}
	for range 100 {
		if l, err := try(firstPort + rand.IntN(lastPort-firstPort)); err == nil {
			return l, nil
		}
	}
	return try(0)
}

// writeFile replaces a file in one step, so that nobody reads half of it.
func writeFile(path string, data []byte) error {
	part := path + ".part"
	if err := os.WriteFile(part, data, 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}
