package lock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const holdFile = "LOCK_TEST_HOLD_FILE"

// As a child, the test binary holds a lock until it is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv(holdFile); path != "" {
		f, err := Hold(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer f.Close()
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
	os.Exit(m.Run())
}

func holdInChild(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), holdFile+"="+path)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var said [5]byte
	if _, err := io.ReadFull(out, said[:]); err != nil || string(said[:]) != "held\n" {
		t.Fatalf("the child says %q, %v", said, err)
	}
	return cmd
}

func TestHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	wantHolder(t, path, 0)

	child := holdInChild(t, path)
	wantHolder(t, path, child.Process.Pid)

	var held *HeldError
	if f, err := Hold(path); !errors.As(err, &held) || held.PID != child.Process.Pid {
		t.Errorf("a second holder: %v %v", f, err)
	}

	_ = child.Process.Kill()
	_ = child.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if pid, err := Holder(path); err == nil && pid == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the lock outlives its holder")
		}
	}
	f, err := Hold(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// What is written in the file means nothing.
func TestContentIsNotBelieved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getppid())), 0o600); err != nil {
		t.Fatal(err)
	}
	wantHolder(t, path, 0)
}

func wantHolder(t *testing.T, path string, want int) {
	t.Helper()
	if pid, err := Holder(path); err != nil || pid != want {
		t.Errorf("holder %d, %v; want %d", pid, err, want)
	}
}
