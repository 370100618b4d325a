package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// mount gives the test a small file system of its own, where that is possible.
func mount(t *testing.T, options string) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("needs root on Linux to mount a file system")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a file system here: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %s", out)
		}
	})
	return dir
}

func TestFolderCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cluster(t, filepath.Join(file, "c"), nil, "up").want(t, 1, "cannot write to the state folder", "not a directory", "next: ", "CLUSTER=PATH")
}

func TestFolderIsReadOnly(t *testing.T) {
	dir := mount(t, "ro")
	cluster(t, dir, nil, "up").want(t, 1, "cannot write to the state folder", "read-only file system", "CLUSTER=PATH")
}

func TestFolderIsFull(t *testing.T) {
	dir := mount(t, "size=64k")
	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	for err == nil {
		_, err = fill.Write(make([]byte, 4096))
	}
	cluster(t, dir, nil, "up").want(t, 1, "cannot write to the state folder", "no space left on device", "CLUSTER=PATH")
}

func TestFolderHasTooLittleRoom(t *testing.T) {
	dir := mount(t, "size=20m")
	cluster(t, dir, nil, "up", "--provider", "local").want(t, 1, "19 MB free", "needs 256 MB", "make room")
}

func TestPortAskedForIsTaken(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := cluster(t, t.TempDir(), nil, "up", "--provider", "local", "--port", port)
	r.want(t, 1, "port "+port+" cannot be used", "address already in use", "next: choose another with --port")
}

func TestDamagedState(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte(`{"provider":`), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + fakes(t, nil)}
	cluster(t, dir, env, "up").want(t, 1, "state.json is damaged", "make down")
	cluster(t, dir, env, "status").want(t, 1, "state.json is damaged", "make down")
	cluster(t, dir, env, "down").want(t, 0, "removing what there is")
	cluster(t, dir, env, "status").want(t, 1, "none in")
}

func TestDownDoesNotDisturbAnotherCommand(t *testing.T) {
	dir := t.TempDir()
	l, err := at(t, dir).Lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	who := "another cluster command (process " + strconv.Itoa(os.Getpid()) + ")"
	cluster(t, dir, nil, "down").want(t, 1, who+" is at work in "+dir, "next: wait")
}

// A pid that is written down may be anybody's by now. Files here name a process
// that has nothing to do with clusters, in every place where a pid could be
// looked for; none of the commands may touch it.
func TestStalePidIsNeverSignaled(t *testing.T) {
	bystander := exec.Command("sleep", "600")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	}()
	dir := t.TempDir()
	pid := strconv.Itoa(bystander.Process.Pid) + "\n"
	if err := os.Mkdir(filepath.Join(dir, "local"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"state.json": `{"provider": "local", "name": "x", "ready": true, "pid": ` + pid + `}`,
		"up.lock":    pid, "local/lock": pid, "local/pid": pid, "controlplane.pid": pid,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=" + fakes(t, map[string]string{"go": oldGo})}
	cluster(t, dir, env, "status").want(t, 1, "its process has died")
	cluster(t, dir, env, "up").want(t, 1, "go1.20")
	cluster(t, dir, env, "down").want(t, 0, "local cluster x removed")
	if err := bystander.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the bystander is gone: %v", err)
	}
	// It must not have been stopped or asked to end either.
	var status syscall.WaitStatus
	if got, err := syscall.Wait4(bystander.Process.Pid, &status, syscall.WNOHANG|syscall.WUNTRACED, nil); err != nil || got != 0 {
		t.Errorf("the bystander has changed its state: %v %v", status, err)
	}
}
