// Package local runs the local control plane as a background process: it
// starts it, finds it again, and stops it.
package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"client-go-lessons/cluster/internal/api"
	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/hint"
	"client-go-lessons/cluster/internal/lock"
)

// startTimeout is far beyond what a start takes on a slow machine.
const startTimeout = 2 * time.Minute

// Options are what a start needs to know.
type Options struct {
	Folder *folder.Folder
	Binary string
	// Context is the name of the kubeconfig's context.
	Context string
	// Port is the port on 127.0.0.1, 0 for the one used last or a free one.
	Port int
	// Lock is the folder's lock. The child keeps it until it has taken its
	// own, so that there is no moment at which it runs and nobody can tell.
	Lock *os.File
}

// Running returns the control plane's process id, 0 if it does not run.
func Running(f *folder.Folder) (int, error) {
	return lock.Holder(filepath.Join(f.Local(), "lock"))
}

// CheckPort tells whether the port is free for a start.
func CheckPort(port int) error {
	if port == 0 {
		return nil
	}
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return hint.New("choose another with --port, or leave it out to get a free one",
			"port %d cannot be used: %w", port, err)
	}
	return l.Close()
}

// LastPort returns the port used last, 0 if there is none.
func LastPort(f *folder.Folder) int {
	data, err := os.ReadFile(filepath.Join(f.Local(), "port"))
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || port < 1 || port > 65535 {
		return 0
	}
	return port
}

// Start starts the control plane and waits until it is ready. If that fails or
// ctx ends, it has stopped what it started.
func Start(ctx context.Context, o Options, progress func(string)) (*api.Client, error) {
	if err := os.MkdirAll(o.Folder.Local(), 0o700); err != nil {
		return nil, err
	}
	log, err := openLog(o.Folder)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	args := []string{"-dir", o.Folder.Local(), "-name", o.Context, "-release", "3"}
	if o.Port != 0 {
		args = append(args, "-port", strconv.Itoa(o.Port))
	} else {
		args = append(args, "-any-port", "-port", strconv.Itoa(LastPort(o.Folder)))
	}
	cmd := exec.Command(o.Binary, args...)
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{o.Lock}
	// A session of its own: it outlives this command and its terminal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the control plane: %w", err)
	}

	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("it took too long"))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	exited := make(chan struct{})
	died := errors.New("the control plane ended while it was starting")
	go func() {
		// How it ended is in its log.
		_ = cmd.Wait()
		stop(died)
		close(exited)
	}()

	c, err := Wait(ctx, o.Folder, cmd.Process.Pid, progress)
	if err == nil {
		return c, nil
	}
	if !end(o.Folder, cmd.Process) {
		return nil, errors.Join(err, fmt.Errorf("the control plane (process %d) does not end", cmd.Process.Pid))
	}
	<-exited
	if cause := context.Cause(ctx); errors.Is(cause, died) {
		err = died
	}
	if tail := LogTail(o.Folder, 5); !errors.Is(err, context.Canceled) && tail != "" {
		err = fmt.Errorf("%w; the end of its log:\n%s", err, tail)
	}
	return nil, hint.New("the whole log is "+logFile(o.Folder), "%w", err)
}

// Wait waits until the control plane of that process id is ready.
func Wait(ctx context.Context, f *folder.Folder, pid int, progress func(string)) (*api.Client, error) {
	return api.Wait(ctx, func() (*api.Client, error) {
		// Before the lock is taken the kubeconfig may be that of an earlier run.
		if holder, err := Running(f); err != nil || holder != pid {
			return nil, fmt.Errorf("process %d is not there yet", pid)
		}
		return Open(f)
	}, progress)
}

// ErrEnded says that a control plane ended while it was waited for.
var ErrEnded = errors.New("the control plane has ended")

// WaitForRunning is Wait for a control plane that Running has just found, so the
// lock is its own. It may be on its way out: then the error is ErrEnded.
func WaitForRunning(ctx context.Context, f *folder.Folder, pid int, progress func(string)) (*api.Client, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	return api.Wait(ctx, func() (*api.Client, error) {
		if holder, err := Running(f); err == nil && holder != pid {
			stop(ErrEnded)
			return nil, ErrEnded
		}
		return Open(f)
	}, progress)
}

// Open returns a client of the control plane, which need not be ready.
func Open(f *folder.Folder) (*api.Client, error) {
	return api.Open(filepath.Join(f.Local(), "kubeconfig"))
}

// Kubeconfig returns the content of the administrator's kubeconfig.
func Kubeconfig(f *folder.Folder) ([]byte, error) {
	return os.ReadFile(filepath.Join(f.Local(), "kubeconfig"))
}

// environment is what the control plane is given of ours: not the switches that
// somebody sets for a lesson's client, which its own clients would obey.
func environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
