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

// Root is the folder of this workspace, above the working folder.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if info, err := os.Stat(filepath.Join(dir, "exercises")); err == nil && info.IsDir() {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				return dir, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("there is no folder exercises here; run this in the workspace")
		}
		dir = filepath.Dir(dir)
	}
}

// Build compiles the program in a folder of the workspace to path. What the compiler has against it
// comes as a *NotCompiled.
func Build(ctx context.Context, root, folder, path string) error {
	// Without debug information it links faster. A panic names file and line all the same.
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", path, "./"+filepath.ToSlash(folder))
	cmd.Dir = root
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case said.Len() == 0:
		return fmt.Errorf("go build: %w", err)
	}
	return &NotCompiled{lines(said.String())}
}

// NotCompiled is what the compiler says about a program.
type NotCompiled struct{ Lines []string }

func (e *NotCompiled) Error() string { return strings.Join(e.Lines, "\n") }

var packageLine = regexp.MustCompile(`^# `)

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
