package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"client-go-lessons/internal/judge"
)

// What a learner has is in files that git ignores: exercises/NN-name/main.go, made from shipped/
// when the exercise is begun, and in .learn/ which exercises were solved, and copies of what was
// reset. So a newer version of this workspace never conflicts with it.
const keepFolder = ".learn"

// program is the learner's program, seen from the workspace.
func (b *workbench) program(e judge.Exercise) string {
	return filepath.Join("exercises", e.Name, "main.go")
}

func (b *workbench) shipped(e judge.Exercise) string {
	return filepath.Join(b.root, "exercises", e.Name, "shipped", "main.go")
}

func (b *workbench) begun(e judge.Exercise) bool {
	_, err := os.Stat(filepath.Join(b.root, b.program(e)))
	return err == nil
}

// begin makes the learner's program if it is not there yet.
func (b *workbench) begin(e judge.Exercise) error {
	if b.begun(e) {
		return nil
	}
	text, err := os.ReadFile(b.shipped(e))
	if err != nil {
		return err
	}
	b.say("           It is yours now: change it as you like, git does not look at it.")
	return os.WriteFile(filepath.Join(b.root, b.program(e)), text, 0o644)
}

// reset begins an exercise anew, and keeps what was there.
func (b *workbench) reset(e judge.Exercise) int {
	path := filepath.Join(b.root, b.program(e))
	mine, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b.say("Exercise %s was not begun: there is nothing to reset.", e.Number())
		return exitSolved
	}
	if err != nil {
		return b.failed(err)
	}
	fresh, err := os.ReadFile(b.shipped(e))
	if err != nil {
		return b.failed(err)
	}
	if bytes.Equal(mine, fresh) {
		b.say("%s is as it was shipped: there is nothing to reset.", b.program(e))
		return exitSolved
	}
	copied, err := b.keep(e, mine)
	if err != nil {
		return b.failed(err)
	}
	if err := os.WriteFile(path, fresh, 0o644); err != nil {
		return b.failed(err)
	}
	b.say("%s is as it was shipped. Your version is kept: %s", b.program(e), copied)
	return exitSolved
}

// keep writes a copy under a name that is not taken.
func (b *workbench) keep(e judge.Exercise, text []byte) (name string, err error) {
	if err := os.MkdirAll(filepath.Join(b.root, keepFolder), 0o755); err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		name = filepath.Join(keepFolder, fmt.Sprintf("%s.%d.go", e.Name, n))
		f, err := os.OpenFile(filepath.Join(b.root, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(text)
		return name, errors.Join(err, f.Close())
	}
}

// solved are the names of the exercises that the judge has ever called solved.
func (b *workbench) solved() []string {
	text, err := os.ReadFile(filepath.Join(b.root, keepFolder, "solved"))
	if err != nil {
		return nil // none
	}
	return strings.Fields(string(text))
}

func (b *workbench) remember(e judge.Exercise) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := b.solved()
	if slices.Contains(names, e.Name) {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(b.root, keepFolder), 0o755); err != nil {
		return err
	}
	names = append(names, e.Name)
	slices.Sort(names)
	return os.WriteFile(filepath.Join(b.root, keepFolder, "solved"), []byte(strings.Join(names, "\n")+"\n"), 0o644)
}

// next is the first exercise that was never solved.
func (b *workbench) next() (judge.Exercise, bool) {
	names := b.solved()
	for _, e := range b.all {
		if !slices.Contains(names, e.Name) {
			return e, true
		}
	}
	return judge.Exercise{}, false
}

// hint prints the hint.
func (b *workbench) hint(e judge.Exercise) int {
	text, err := os.ReadFile(filepath.Join(b.root, "exercises", e.Name, "hint.md"))
	if err != nil {
		return b.failed(err)
	}
	fmt.Fprint(b.out, string(text))
	return exitSolved
}

// solution says where the solution is.
func (b *workbench) solution(e judge.Exercise) {
	path := filepath.Join("exercises", e.Name, "solution", "main.go")
	b.say("A solution: %s", path)
	b.say("What it changes: git diff --no-index %s %s", filepath.Join("exercises", e.Name, "shipped", "main.go"), path)
}
