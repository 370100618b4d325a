package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"client-go-lessons/cluster/internal/compile"
	"client-go-lessons/cluster/internal/say"
)

// runAsCommand makes the test binary be the cluster command: tests run it as
// its users do, as a process, and yet with the race detector in it.
const runAsCommand = "CLUSTER_TEST_RUN_AS_COMMAND"

// limit is far beyond what anything here takes on a slow machine.
const limit = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(runAsCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// result is how a run of the command ended.
type result struct {
	code        int
	out, errout string
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", r.code, r.out, r.errout)
}

// command returns the cluster command for a folder, not yet started.
func command(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append(args, "--dir", dir)...)
	// The race detector would make each run last a second longer.
	cmd.Env = append(os.Environ(), runAsCommand+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// cluster runs the cluster command for a folder.
func cluster(t *testing.T, dir string, env []string, args ...string) result {
	t.Helper()
	cmd := command(t, dir, env, args...)
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := result{cmd.ProcessState.ExitCode(), out.String(), errout.String()}
	hear(dir, r)
	return r
}

// want fails the test unless the run ended so, and said all of it. Whatever was
// said must be for people.
func (r result) want(t *testing.T, code int, said ...string) {
	t.Helper()
	all := r.out + r.errout
	if r.code != code {
		t.Fatalf("want exit code %d, got %v", code, r)
	}
	for _, s := range said {
		if !strings.Contains(all, s) {
			t.Errorf("want %q to be said, got %v", s, r)
		}
	}
	for _, s := range []string{"goroutine ", "panic:", "PRIVATE KEY"} {
		if strings.Contains(all, s) {
			t.Errorf("%q was said: %v", s, r)
		}
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

// fakes makes a folder of shell scripts to be used as the whole PATH.
func fakes(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// needsControlPlane compiles the control plane, once for all tests, in the way
// that users do.
func needsControlPlane(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the control plane's binary")
	}
	source, err := compile.Source("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compile.Binary(context.Background(), source, say.To(os.Stderr)); err != nil {
		t.Fatal(err)
	}
}
