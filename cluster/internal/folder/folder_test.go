package folder

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"client-go-lessons/cluster/internal/hint"
)

func at(t *testing.T, path string) *Folder {
	t.Helper()
	f, err := At(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDefaultNameIsTheFoldersOwn(t *testing.T) {
	base := t.TempDir()
	a, b := at(t, filepath.Join(base, "a", ".cluster")), at(t, filepath.Join(base, "b", ".cluster"))
	if a.DefaultName() == b.DefaultName() {
		t.Errorf("two folders, one name: %s", a.DefaultName())
	}
	// By whatever path it is reached, before it is there and after.
	if err := os.Mkdir(filepath.Join(base, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(base, "a"), filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	before := at(t, filepath.Join(base, "link", ".cluster")).DefaultName()
	if err := os.Mkdir(filepath.Join(base, "a", ".cluster"), 0o700); err != nil {
		t.Fatal(err)
	}
	after := at(t, filepath.Join(base, "link", ".cluster")).DefaultName()
	if before != after || before != at(t, filepath.Join(base, "a", ".cluster")).DefaultName() {
		t.Errorf("one folder, several names: %s %s", before, after)
	}
}

func TestState(t *testing.T) {
	f := at(t, t.TempDir())
	if s, err := f.State(); s != nil || err != nil {
		t.Fatalf("%v %v", s, err)
	}
	want := State{Provider: Kind, Name: "n", Ready: true, Engine: "podman", Image: "i"}
	if err := f.Note(&want); err != nil {
		t.Fatal(err)
	}
	if s, err := f.State(); err != nil || *s != want {
		t.Errorf("%v %v", s, err)
	}
	if err := f.Note(&State{Provider: "minikube"}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.State(); err == nil || !strings.Contains(hint.Next(err), "make down") {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(f.Forget(), f.Forget()); err != nil {
		t.Error(err)
	}
}

func TestLockIsForOne(t *testing.T) {
	f := at(t, t.TempDir())
	l, err := f.Lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	_, err = f.Lock(ctx, func(string) { told++; cancel() })
	if err == nil || told != 1 || !strings.Contains(err.Error(), "is at work in") {
		t.Errorf("told %d times, %v", told, err)
	}
	l.Close()
	l, err = f.Lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// Whoever removes the folder's files removes the lock's too, and someone may be
// waiting for it.
func TestLockThatWasRemovedIsNoLock(t *testing.T) {
	f := at(t, t.TempDir())
	first, err := f.Lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	waits := make(chan struct{})
	got := make(chan *os.File)
	go func() {
		l, err := f.Lock(context.Background(), func(string) { close(waits) })
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	<-waits
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	first.Close()
	l := <-got
	defer l.Close()
	info, err := l.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if now, err := os.Stat(filepath.Join(f.Dir, lockFile)); err != nil || !os.SameFile(info, now) {
		t.Errorf("it has locked a file that is gone: %v", err)
	}
}

func TestRemoveLeavesLogs(t *testing.T) {
	f := at(t, filepath.Join(t.TempDir(), "c"))
	for _, dir := range []string{f.Local(), f.Logs()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Note(&State{Provider: Local}), f.WriteKubeconfig([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(f.Logs(), "a.log")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(f.Dir); err != nil || len(left) != 1 {
		t.Errorf("left %v %v", left, err)
	}
	if err := errors.Join(os.Remove(log), f.Remove()); err != nil {
		t.Fatal(err)
	}
	if f.Exists() {
		t.Error("an empty folder is left")
	}
}
