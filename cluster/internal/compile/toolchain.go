package compile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"client-go-lessons/cluster/internal/hint"
)

const installGo = "install Go %s or newer from https://go.dev/dl, or use Docker: make up PROVIDER=kind"

// checkGo tells what is wrong with the go command, if it cannot compile the module.
func checkGo(ctx context.Context, source string) error {
	data, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return err
	}
	want := directive(string(data))
	next := fmt.Sprintf(installGo, want)
	path, err := exec.LookPath("go")
	if err != nil {
		return hint.New(next, "no go command on the PATH; the local control plane is compiled from source")
	}
	// In the module's folder a go command of another version may switch to the
	// one that go.mod asks for, and it is that one which counts.
	cmd := exec.CommandContext(ctx, path, "env", "GOVERSION")
	cmd.Dir = source
	cmd.Env = goEnvironment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return hint.New(next, "%s cannot compile the local control plane: %s", path, oneLine(stderr.String(), err))
	}
	have := strings.TrimSpace(string(out))
	if older(have, want) {
		return hint.New(next, "%s is %s; the local control plane needs Go %s or newer", path, have, want)
	}
	return nil
}

// directive returns the version in a go.mod's go line.
func directive(mod string) string {
	for line := range strings.Lines(mod) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "go" {
			return f[1]
		}
	}
	return ""
}

var versionNumber = regexp.MustCompile(`^(?:go)?(\d+)\.(\d+)(?:\.(\d+))?`)

// older tells whether the version have is below want. One that cannot be read,
// such as that of a development build, is taken for new.
func older(have, want string) bool {
	h, w := versionNumber.FindStringSubmatch(have), versionNumber.FindStringSubmatch(want)
	if h == nil || w == nil {
		return false
	}
	for i := 1; i <= 3; i++ {
		a, _ := strconv.Atoi(h[i])
		b, _ := strconv.Atoi(w[i])
		if a != b {
			return a < b
		}
	}
	return false
}

func oneLine(stderr string, err error) string {
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return err.Error()
}
