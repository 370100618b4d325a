package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
)

const (
	prefix  = "controlplane-"
	partial = ".part"
)

// keep is how many older binaries stay, for checkouts of other versions.
const keep = 2

// packages are the module's own packages that the binary is made of.
var packages = []string{"controlplane", "internal/lock", "internal/pki"}

// hash names a binary by all that goes into it.
func hash(source, goVersion string) (string, error) {
	files := []string{"go.mod", "go.sum"}
	for _, p := range packages {
		found, err := filepath.Glob(filepath.Join(source, p, "*.go"))
		if err != nil {
			return "", err
		}
		for _, f := range found {
			if !strings.HasSuffix(f, "_test.go") {
				files = append(files, filepath.Join(p, filepath.Base(f)))
			}
		}
	}
	sum := sha256.New()
	fmt.Fprintln(sum, goVersion, runtime.GOOS, runtime.GOARCH, buildFlags, ldflags())
	for _, name := range files {
		f, err := os.Open(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, name)
		_, err = io.Copy(sum, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// prune removes what builds before this one have left: halves, and all whole
// ones but the few used last. A control plane that runs from one of them goes on.
func prune(cache, current string) {
	type old struct {
		path string
		used int64
	}
	var olds []old
	found, _ := filepath.Glob(filepath.Join(cache, prefix+"*"))
	for _, path := range found {
		info, err := os.Stat(path)
		switch {
		case err != nil || path == current:
		case strings.HasSuffix(path, partial):
			_ = os.Remove(path)
		default:
			olds = append(olds, old{path, info.ModTime().UnixNano()})
		}
	}
	sort.Slice(olds, func(i, j int) bool { return olds[i].used > olds[j].used })
	for i, o := range olds {
		if i >= keep {
			_ = os.Remove(o.path)
		}
	}
}
