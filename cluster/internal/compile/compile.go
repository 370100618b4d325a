// Package compile turns the control plane's source into a binary, once, and
// keeps it outside the checkout so that a fresh clone need not wait again.
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

// The flags decide whether Go's build cache can be shared with other builds of
// the same modules: Go's defaults, as go run and go test have them.
var buildFlags = []string{"-tags", tag}

// ldflags stamp the version, as a release build of Kubernetes does.
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

// Find returns where the control plane's binary is to be, and whether it is there.
func Find(ctx context.Context, source string) (binary string, found bool, err error) {
	goVersion, err := checkGo(ctx, source)
	if err != nil {
		return "", false, err
	}
	key, err := hash(source, goVersion)
	if err != nil {
		return "", false, fmt.Errorf("read the control plane's source: %w", err)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", false, err
	}
	binary = filepath.Join(cache, prefix+key)
	return binary, use(binary), nil
}

// Binary returns the control plane's binary, compiled from the module at source
// unless that has been done before.
func Binary(ctx context.Context, source string, p *say.Printer) (string, error) {
	binary, found, err := Find(ctx, source)
	if err != nil || found {
		return binary, err
	}
	cache := filepath.Dir(binary)
	unlock, err := lockCache(ctx, cache, func() {
		p.Line("compiling    another build is at work in %s; waiting for it", cache)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if use(binary) {
		return binary, nil
	}
	prune(cache, binary)
	part := binary + partial
	if err := build(ctx, source, part, p); err != nil {
		_ = os.Remove(part)
		return "", err
	}
	if err := os.Rename(part, binary); err != nil {
		return "", fmt.Errorf("keep the control plane's binary: %w", err)
	}
	return binary, nil
}

// use tells whether the binary is there, and marks it as used.
func use(binary string) bool {
	info, err := os.Stat(binary)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	now := time.Now()
	_ = os.Chtimes(binary, now, now)
	return true
}

func cacheDir() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(base) {
		var err error
		if base, err = os.UserCacheDir(); err != nil {
			return "", hint.New("set XDG_CACHE_HOME to a folder that you can write to", "no cache folder: %w", err)
		}
	}
	dir := filepath.Join(base, "client-go-lessons")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", hint.New("set XDG_CACHE_HOME to a folder that you can write to", "make the cache folder: %w", err)
	}
	return dir, nil
}

// lockCache lets one build at a time write to the cache.
func lockCache(ctx context.Context, cache string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, hint.New("set XDG_CACHE_HOME to a folder that you can write to", "lock the cache folder: %w", err)
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock the cache folder: %w", err)
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
