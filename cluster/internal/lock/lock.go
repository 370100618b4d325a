// Package lock tells who is running a control plane, in a way that cannot be
// wrong.
//
// A file that holds a process id lies as soon as that process is gone and its
// id has been given to another one. A POSIX record lock does not: the kernel
// drops it when its owner ends, however it ends, and tells everyone who asks
// which process owns it now. So the control plane holds a record lock on a
// file for as long as it lives, and the pid that Holder reports may safely be
// signaled.
//
// A process loses its record locks on a file when it closes any descriptor of
// that file. The owner must therefore never open the file a second time.
package lock

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// HeldError says that another process owns the lock.
type HeldError struct {
	Path string
	PID  int
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is locked by process %d", e.Path, e.PID)
}

// Hold creates the file if need be and locks it for the rest of this process's
// life. The caller keeps the returned file open and reachable.
func Hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	lk := whole()
	err = syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &lk)
	if err == nil {
		return f, nil
	}
	pid, _ := holder(f)
	f.Close()
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return nil, &HeldError{Path: path, PID: pid}
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// Holder returns the process that owns the lock on path, 0 if there is none.
func Holder(path string) (int, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return holder(f)
}

func holder(f *os.File) (int, error) {
	lk := whole()
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lk); err != nil {
		return 0, fmt.Errorf("ask who locks %s: %w", f.Name(), err)
	}
	if lk.Type == syscall.F_UNLCK {
		return 0, nil
	}
	if lk.Pid <= 0 {
		return 0, fmt.Errorf("%s is locked by a process of another container or machine", f.Name())
	}
	return int(lk.Pid), nil
}

// whole describes a write lock on the whole file.
func whole() syscall.Flock_t {
	return syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
}
