package local

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/hint"
)

// How long the control plane may take to stop, after being asked and after
// being killed.
const (
	askTimeout  = 3 * time.Second
	killTimeout = time.Second
)

// Stop ends the control plane, if it runs, and returns when its process is gone
// and its port is free.
func Stop(f *folder.Folder) error {
	pid, err := Running(f)
	if err != nil || pid == 0 {
		return err
	}
	// On Linux this takes hold of the process itself. Should it end now and its
	// id go to another one, either the lock says so or the signal goes nowhere.
	process, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("find the control plane (process %d): %w", pid, err)
	}
	defer func() { _ = process.Release() }()
	if now, err := Running(f); err != nil || now != pid {
		return err
	}
	if !end(f, process) {
		return hint.New(fmt.Sprintf("look at it with: ps -p %d", pid), "the control plane (process %d) does not end", pid)
	}
	return nil
}

// end asks the process to stop, kills it if it does not, and tells whether it
// is gone.
func end(f *folder.Folder, process *os.Process) bool {
	for _, step := range []struct {
		signal  syscall.Signal
		timeout time.Duration
	}{{syscall.SIGTERM, askTimeout}, {syscall.SIGKILL, killTimeout}} {
		if err := process.Signal(step.signal); errors.Is(err, os.ErrProcessDone) {
			return true
		}
		if poll(step.timeout, func() bool { return gone(f, process) }) {
			return true
		}
	}
	return false
}

// gone tells whether the process holds neither the folder nor the port.
func gone(f *folder.Folder, process *os.Process) bool {
	if pid, err := Running(f); err != nil || pid == process.Pid {
		return false
	}
	port := LastPort(f)
	if port == 0 {
		return true
	}
	c, err := net.DialTimeout("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
	if err != nil {
		return true
	}
	_ = c.Close()
	// Another program may have the port by now; then our process is gone all
	// the same.
	return errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

func poll(timeout time.Duration, done func() bool) bool {
	for deadline := time.Now().Add(timeout); ; time.Sleep(20 * time.Millisecond) {
		if done() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
