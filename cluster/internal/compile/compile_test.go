package compile

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"client-go-lessons/cluster/internal/say"
)

func source(t *testing.T) string {
	t.Helper()
	dir, err := Source("")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Without the tag, ./... patterns would compile Kubernetes, with the race
// detector for example.
func TestPatternsLeaveTheControlPlaneOut(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-test", "./...")
	cmd.Dir = source(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "k8s.io/kubernetes/") || strings.HasPrefix(line, "go.etcd.io/") {
			t.Fatalf("./... takes in %s", line)
		}
	}
}

func TestVersionIsTheOneOfGoMod(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(source(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), "k8s.io/kubernetes "+Version+"\n") {
		t.Errorf("go.mod does not ask for k8s.io/kubernetes %s", Version)
	}
	if f := ldflags(); !strings.Contains(f, "version.gitVersion="+Version+" ") || !strings.Contains(f, "version.gitMinor=37 ") {
		t.Errorf("flags %q", f)
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		have string
		want bool
	}{
		{"go1.20", true}, {"go1.25.9", true}, {"go1.26", false}, {"go1.26.0", false}, {"go1.26.8", false},
		{"go1.27rc1", false}, {"go2.0", false}, {"devel go1.30-abcdef", false}, {"", false},
	} {
		if got := older(c.have, "1.26.0"); got != c.want {
			t.Errorf("older(%q) = %v", c.have, got)
		}
	}
}

func TestProgress(t *testing.T) {
	w := &watcher{p: say.To(os.Stderr), start: time.Now()}
	for _, c := range []struct{ line, want string }{
		{"", "building     the local control plane"},
		{"go: downloading k8s.io/api v0.37.2", "downloading  1 Go module"},
		{"k8s.io/api/core/v1", "compiling    1 package"},
		{"", "compiling    1 of 1,301 packages"},
		{"# k8s.io/api/core/v1", "compiling    1 of 1,301 packages"},
		{"types.go:1:1: expected package", "compiling    1 of 1,301 packages"},
		{mainPackage, "linking      the local control plane"},
	} {
		w.read(strings.NewReader(c.line + "\n"))
		if got := w.state(); got != c.want {
			t.Errorf("after %q it says %q, want %q", c.line, got, c.want)
		}
		if w.done == 1 {
			w.setTotal(1300)
		}
	}
	if want := []string{"# k8s.io/api/core/v1", "types.go:1:1: expected package"}; !slices.Equal(w.messages, want) {
		t.Errorf("messages %q, want %q", w.messages, want)
	}
}

// fakeGo puts a go command on the PATH whose build does as told, and returns a
// module's folder to build in. The script finds the file to write in $out.
func fakeGo(t *testing.T, build string) (source string) {
	t.Helper()
	bin, workspace := t.TempDir(), t.TempDir()
	script := `#!/bin/sh
case "$1" in
env) echo go1.99 ;;
list) echo a/b; echo c/d ;;
build)
	while [ "$1" != -o ]; do shift; done
	out=$2
	` + build + ` ;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	source = filepath.Join(workspace, "cluster")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte("module "+module+"\n\ngo 1.26.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return source
}

// TestGoKnowsWhatIsStale asks the real go command, of a small module in the
// control plane's place: an up to date binary stays as it is, and a change, in
// the source as in the flags, makes a new one.
func TestGoKnowsWhatIsStale(t *testing.T) {
	source := filepath.Join(t.TempDir(), "a folder", "cluster")
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(source, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	built := func() os.FileInfo {
		t.Helper()
		path, err := Binary(t.Context(), source, say.To(os.Stderr))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	write("go.mod", "module "+module+"\n\ngo 1.26.0\n")
	write("controlplane/main.go", "//go:build "+tag+"\n\npackage main\n\nfunc main() { println(1) }\n")
	first := built()
	if again := built(); !os.SameFile(first, again) {
		t.Error("nothing has changed, and there is another binary")
	}
	write("controlplane/main.go", "//go:build "+tag+"\n\npackage main\n\nfunc main() { println(2) }\n")
	second := built()
	if os.SameFile(first, second) {
		t.Error("the source has changed, and the binary is the old one")
	}
	t.Setenv("GOFLAGS", "-gcflags=-N -mod=vendor")
	if third := built(); os.SameFile(second, third) {
		t.Error("GOFLAGS have changed, and the binary is the old one")
	}
}

func TestInterruptedBuildLeavesNothing(t *testing.T) {
	source := fakeGo(t, `echo half > "$out"; echo a/b >&2; sleep 600`)
	ctx, cancel := context.WithCancel(context.Background())
	there := func() bool {
		_, err := os.Stat(Path(source))
		return err == nil
	}
	go func() {
		for !there() && ctx.Err() == nil {
			runtime.Gosched()
		}
		cancel()
	}()
	if _, err := Binary(ctx, source, say.To(os.Stderr)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if there() {
		t.Error("half a binary is left")
	}
}

func TestFailedBuildShowsWhatTheCompilerSaid(t *testing.T) {
	source := fakeGo(t, `echo "# a/b" >&2; echo "write cache: no space left on device" >&2; exit 1`)
	_, err := Binary(context.Background(), source, say.To(os.Stderr))
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("got %v", err)
	}
}

func TestOneBuildAtATime(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(t.Context(), dir, func() {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lock(ctx, dir, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	unlock()
	unlock, err = lock(t.Context(), dir, func() {})
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestNoFolderForTheBinary(t *testing.T) {
	source := fakeGo(t, `exit 1`)
	if err := os.WriteFile(filepath.Dir(Path(source)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Binary(t.Context(), source, say.To(os.Stderr)); err == nil || !strings.Contains(err.Error(), "no folder for the compiled") {
		t.Errorf("got %v", err)
	}
}

func TestSource(t *testing.T) {
	dir := source(t)
	t.Chdir(filepath.Join(dir, "internal"))
	if found, err := Source(""); err != nil || found != dir {
		t.Errorf("from a subfolder: %s %v", found, err)
	}
	t.Chdir(filepath.Dir(dir))
	if found, err := Source(""); err != nil || found != dir {
		t.Errorf("from the workspace: %s %v", found, err)
	}
	if _, err := Source(t.TempDir()); err == nil {
		t.Error("any folder will do")
	}
	t.Setenv("CLUSTER_SOURCE", dir)
	t.Chdir(t.TempDir())
	if found, err := Source(""); err != nil || found != dir {
		t.Errorf("from the environment: %s %v", found, err)
	}
}
