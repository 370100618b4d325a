//go:build controlplane

// Command controlplane is a Kubernetes control plane in one process: etcd, the
// API server, and the four controllers without which ConfigMaps and namespaces
// would not behave as they do on a full cluster. All of it is upstream's code,
// unchanged and called from here; only the wiring is ours.
//
// It listens on the loopback interface alone, keeps everything it writes in one
// folder, and runs until SIGTERM, or until that folder is taken away from it.
// The cluster command compiles and starts it; the build tag keeps it, and with
// it half an hour of compiling, out of ./... patterns.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"client-go-lessons/cluster/internal/lock"
	"client-go-lessons/cluster/internal/pki"
)

// gracePeriod is how long requests may take to end once we are told to stop.
// Watches would go on for longer; they are cut. Nothing else needs an orderly
// end: the data is made to survive a SIGKILL.
const gracePeriod = time.Second

// options are the command line.
type options struct {
	dir     string
	name    string
	port    int
	anyPort bool
	release int
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "the `folder` for data, keys and certificates")
	flag.StringVar(&o.name, "name", "local", "the name of the kubeconfig's context")
	flag.IntVar(&o.port, "port", 0, "the API server's port on 127.0.0.1, 0 for a free one")
	flag.BoolVar(&o.anyPort, "any-port", false, "take a free port if that one is in use")
	flag.IntVar(&o.release, "release", 0, "a file descriptor to close once the folder is locked")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	// Our clients introduce themselves, to the server and in managedFields, by
	// the program's name: the one that they have on every cluster.
	os.Args[0] = "kube-apiserver"
	// What is made here, by whichever component, is its user's alone.
	syscall.Umask(0o077)
	if o.dir == "" {
		return errors.New("-dir is missing")
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	held, err := lock.Hold(filepath.Join(o.dir, "lock"))
	if err != nil {
		return err
	}
	defer held.Close()
	if o.release > 0 {
		os.NewFile(uintptr(o.release), "release").Close()
	}

	listener, err := listen(o)
	if err != nil {
		return err
	}
	certs := filepath.Join(o.dir, "pki")
	if err := pki.Ensure(certs); err != nil {
		return err
	}
	if err := writeKubeconfig(o, certs, listener.Addr().String()); err != nil {
		return err
	}

	signaled, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithCancelCause(signaled)
	defer cancel(nil)
	go watchFolder(ctx, cancel, held)

	// The collector's default trades memory for time more generously than a
	// laptop with one small cluster on it wants.
	debug.SetGCPercent(60)

	etcd, err := startEtcd(ctx, filepath.Join(o.dir, "etcd"), certs)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- serve(ctx, o.dir, certs, etcd.Clients[0].Addr().String(), listener) }()
	select {
	case err := <-done:
		return err
	case err := <-etcd.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
	}
	fmt.Fprintln(os.Stderr, "controlplane: stopping:", context.Cause(ctx))
	select {
	case err := <-done:
		return err
	case <-time.After(gracePeriod):
		return nil
	}
}

// watchFolder cancels once the folder is gone, which is what happens when
// someone deletes a checkout without taking its cluster down. It looks at the
// path only: opening the file would, on closing, give up the lock.
func watchFolder(ctx context.Context, cancel context.CancelCauseFunc, held *os.File) {
	ours, err := held.Stat()
	if err != nil {
		cancel(err)
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now, err := os.Stat(held.Name()); err != nil || !os.SameFile(ours, now) {
			cancel(errors.New("its folder has been removed"))
			return
		}
	}
}
