package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"client-go-lessons/cluster/internal/hint"
)

const lockFile = "up.lock"

// Lock makes this process the only one that changes the cluster. It waits for
// another one until the context ends; waiting is called once, with what is
// known of the other, before it does.
//
// A child that inherits the returned file keeps the lock until both have closed
// it.
func (f *Folder) Lock(ctx context.Context, waiting func(who string)) (*os.File, error) {
	told := false
	for {
		l, err := f.tryLock()
		if err == nil {
			return l, nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			// The one before us took the folder with it.
			if err := f.Create(); err != nil {
				return nil, err
			}
			continue
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock the state folder: %w", err)
		}
		who := f.locker()
		if !told && waiting != nil {
			waiting(who)
		}
		told = true
		select {
		case <-ctx.Done():
			return nil, hint.New("wait until it is done, or stop it", "%s is at work in %s", who, f.Dir)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (f *Folder) tryLock() (*os.File, error) {
	l, err := os.OpenFile(f.path(lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		l.Close()
		return nil, err
	}
	// Whoever held it before us may have removed the file on leaving; then we
	// have locked a file that nobody else will find.
	ours, err := l.Stat()
	if err != nil {
		l.Close()
		return nil, err
	}
	if now, err := os.Stat(l.Name()); err != nil || !os.SameFile(ours, now) {
		l.Close()
		return nil, syscall.EWOULDBLOCK
	}
	// For people only: nothing is ever done to the process of that id.
	if err := l.Truncate(0); err == nil {
		fmt.Fprintf(l, "%d\n", os.Getpid())
	}
	return l, nil
}

func (f *Folder) locker() string {
	data, err := os.ReadFile(f.path(lockFile))
	if pid := strings.TrimSpace(string(data)); err == nil && pid != "" {
		return "another cluster command (process " + pid + ")"
	}
	return "another cluster command"
}
