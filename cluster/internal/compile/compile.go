// Package compile keeps the control plane's binary up to date with its source.
package compile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"client-go-lessons/cluster/internal/hint"
	"client-go-lessons/cluster/internal/say"
)

// Version is the Kubernetes version that the module pins and the binary says it
// is.
const Version = "v1.37.2"

// tag is the build tag of the control plane's package.
const tag = "controlplane"

// ldflags stamp the version, as a release build of Kubernetes does. All other
// flags are Go's defaults, so that what lessons need of the same modules comes
// from the same build cache.
func ldflags() string {
	flags := "-s -w"
	major, rest, _ := strings.Cut(strings.TrimPrefix(Version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, v := range []string{"gitVersion=" + Version, "gitMajor=" + major, "gitMinor=" + minor, "gitTreeState=clean"} {
			flags += fmt.Sprintf(" -X %s.%s", p, v)
		}
	}
	return flags
}

// Path is where the binary of the module at source is: the workspace's folder
// bin. It is the same for each build, since go build links nothing anew when it
// finds an up to date binary in the place where it would put one.
func Path(source string) string {
	return filepath.Join(filepath.Dir(source), "bin", "controlplane")
}

// Binary brings the binary up to date with the module at source and returns its
// path. What is stale the go command knows; when nothing is, that takes it two
// seconds.
func Binary(ctx context.Context, source string, p *say.Printer) (string, error) {
	if err := checkGo(ctx, source); err != nil {
		return "", err
	}
	binary := Path(source)
	unlock, err := lock(ctx, filepath.Dir(binary), func() {
		p.Line("compiling    another build is at work in %s; waiting for it", filepath.Dir(binary))
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := build(ctx, source, binary, p); err != nil {
		// It may be a half, with a whole one's build ID at its beginning.
		_ = os.Remove(binary)
		return "", err
	}
	return binary, nil
}

// lock lets one build at a time write to the folder.
func lock(ctx context.Context, dir string, waiting func()) (unlock func(), err error) {
	const next = "make it a folder that you can write to"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, hint.New(next, "no folder for the compiled control plane: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, hint.New(next, "lock the folder of the compiled control plane: %w", err)
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if !told {
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
