package judge

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Build compiles the program in a folder of the workspace to path. What the compiler has against it
// comes as a *NotCompiled. Any other error is the go command's own trouble.
func Build(ctx context.Context, root, folder, path string) error {
	// Without debug information it links faster. A panic names file and line all the same.
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", path, "./"+filepath.ToSlash(folder))
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off") // a go.work further up is about other modules
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case sourcePlace.MatchString(said.String()):
		return &NotCompiled{lines(said.String())}
	case said.Len() > 0:
		err = fmt.Errorf("%s", strings.Join(lines(said.String()), "; "))
	}
	return fmt.Errorf("your program was not compiled, and that is not its fault: go build: %w", err)
}

// NotCompiled is what the compiler says about a program.
type NotCompiled struct{ Lines []string }

func (e *NotCompiled) Error() string { return strings.Join(e.Lines, "\n") }

var (
	packageLine = regexp.MustCompile(`^# `)
	// sourcePlace is a place in a source file, which each complaint about a program names.
	sourcePlace = regexp.MustCompile(`(?m)^\S+\.go:\d+`)
)

// lines are the first few lines that are about the program itself.
func lines(said string) (kept []string) {
	for line := range strings.Lines(said) {
		if line = strings.TrimRight(line, "\n"); line != "" && !packageLine.MatchString(line) {
			kept = append(kept, line)
		}
	}
	if len(kept) > shown {
		kept = append(kept[:shown], fmt.Sprintf("... and %d lines more", len(kept)-shown))
	}
	return kept
}
