package compile

import (
	"bytes"
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

// The binary's name must change with everything that goes into it.
func TestHashCoversThePackagesOfTheBinary(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-tags", tag, "./controlplane")
	cmd.Dir = source(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for line := range strings.Lines(string(out)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), module+"/"); ok {
			own = append(own, p)
		}
	}
	slices.Sort(own)
	if !slices.Equal(own, packages) {
		t.Errorf("it is made of %q, the hash of %q", own, packages)
	}
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
	w := &watcher{p: say.To(os.Stderr), start: time.Now(), total: 3}
	w.read(strings.NewReader(`go: downloading k8s.io/api v0.37.2
k8s.io/api/core/v1
k8s.io/client-go/kubernetes
# k8s.io/client-go/kubernetes
clientset.go:1:1: expected package
` + mainPackage + "\n"))
	if w.done != 3 || w.downloaded != 1 || !slices.Equal(w.messages, []string{"# k8s.io/client-go/kubernetes", "clientset.go:1:1: expected package"}) {
		t.Error(w)
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"controlplane-oldest", "controlplane-older", "controlplane-old", "controlplane-new", "controlplane-x.part", "other"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		used := time.Unix(int64(i), 0)
		if err := os.Chtimes(path, used, used); err != nil {
			t.Fatal(err)
		}
	}
	prune(dir, filepath.Join(dir, "controlplane-new"))
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range left {
		names = append(names, l.Name())
	}
	if want := []string{"controlplane-new", "controlplane-old", "controlplane-older", "other"}; !slices.Equal(names, want) {
		t.Errorf("left %q, want %q", names, want)
	}
}

// fakeGo puts a go command on the PATH whose build does as told. It finds the
// file to write in $out.
func fakeGo(t *testing.T, build string) (cache string) {
	t.Helper()
	bin, base := t.TempDir(), t.TempDir()
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
	t.Setenv("XDG_CACHE_HOME", base)
	return filepath.Join(base, "client-go-lessons")
}

func TestBinaryIsBuiltOnce(t *testing.T) {
	cache := fakeGo(t, `echo a/b >&2; echo built >> "$out"`)
	dir := source(t)
	for range 2 {
		path, err := Binary(context.Background(), dir, say.To(os.Stderr))
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil || string(data) != "built\n" || filepath.Dir(path) != cache {
			t.Errorf("%s: %q %v", path, data, err)
		}
	}
}

func TestInterruptedBuildLeavesNothing(t *testing.T) {
	cache := fakeGo(t, `echo half > "$out"; echo a/b >&2; sleep 600`)
	ctx, cancel := context.WithCancel(context.Background())
	halves := func() []string {
		found, _ := filepath.Glob(filepath.Join(cache, prefix+"*"))
		return found
	}
	go func() {
		for len(halves()) == 0 && ctx.Err() == nil {
			runtime.Gosched()
		}
		cancel()
	}()
	if _, err := Binary(ctx, source(t), say.To(os.Stderr)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := halves(); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

func TestFailedBuildShowsWhatTheCompilerSaid(t *testing.T) {
	fakeGo(t, `echo "# a/b" >&2; echo "write cache: no space left on device" >&2; exit 1`)
	_, err := Binary(context.Background(), source(t), say.To(os.Stderr))
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("got %v", err)
	}
}

func TestOneBuildAtATime(t *testing.T) {
	cache := t.TempDir()
	unlock, err := lockCache(t.Context(), cache, func() {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lockCache(ctx, cache, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	unlock()
	unlock, err = lockCache(t.Context(), cache, func() {})
	if err != nil {
		t.Fatal(err)
	}
	unlock()
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

func TestCacheFolderCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", file)
	if _, err := cacheDir(); err == nil || !bytes.Contains([]byte(err.Error()), []byte("cache folder")) {
		t.Errorf("got %v", err)
	}
}
