package judge

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMisbehavior: however a program ends or does not, its learner is told so in plain words.
func TestMisbehavior(t *testing.T) {
	path := filepath.Join(t.TempDir(), "misbehave")
	if err := Build(t.Context(), "../..", "internal/judge/testdata/misbehave", path); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ how, want string }{
		{"panics", "your program panicked: assignment to entry in nil map, at main.go:13"},
		{"fails", "your program ended with exit code 1: no such door"},
		{"fails in silence", "your program ended with exit code 3 and no word"},
		{"ends", "your program ended, as if its work were done"},
		{"", "your program ended, and printed nothing"},
		{"hangs", "Your program hangs: the judge waited 0.3 s for it to sing. Till then it sent no request."},
		{"hangs in silence", "Your program hangs: the judge waited 0.3 s for it to sing, and it printed nothing at all."},
		{"floods", "Your program hangs"},
	} {
		t.Run(c.how, func(t *testing.T) {
			watcher, err := observer.Start(&rest.Config{Host: "https://127.0.0.1:1"}) // nobody asks it
			if err != nil {
				t.Fatal(err)
			}
			tr := &Trial{path: path, observer: watcher, patience: 10 * time.Second}
			if strings.Contains(c.want, "hangs") {
				tr.patience = 300 * time.Millisecond
			}
			defer func() {
				if err := tr.close(); err != nil {
					t.Error(err)
				}
			}()
			if err := tr.Start("MISBEHAVE=" + c.how); err != nil {
				t.Fatal(err)
			}
			err = tr.Must(t.Context(), "sing", func() bool { return false })
			if p := (*problem)(nil); !errors.As(err, &p) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a problem: %q", err, c.want)
			}
			tr.program.kill()
			lines, more := tr.program.printed()
			if len(lines) > keep || c.how == "floods" && more == 0 || c.how != "floods" && more > 0 {
				t.Errorf("%d lines are kept, %d are not", len(lines), more)
			}
		})
	}
}

// TestCtrlC: a judge that is interrupted does not blame the program.
func TestCtrlC(t *testing.T) {
	path := filepath.Join(t.TempDir(), "misbehave")
	if err := Build(t.Context(), "../..", "internal/judge/testdata/misbehave", path); err != nil {
		t.Fatal(err)
	}
	tr := &Trial{path: path, patience: time.Minute}
	defer func() { _ = tr.close() }()
	if err := tr.Start("MISBEHAVE=hangs"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := tr.Until(ctx, "sing", func() bool {
		cancel()
		return false
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
}

func TestCompiler(t *testing.T) {
	err := Build(t.Context(), "../..", "internal/judge/testdata/does-not-compile", filepath.Join(t.TempDir(), "x"))
	if said := (*NotCompiled)(nil); !errors.As(err, &said) || !strings.Contains(said.Error(), "main.go:5:15: undefined: find") {
		t.Errorf("got %v, want what the compiler says", err)
	}
}

// TestGoCommandsOwnTrouble: what the go command says of itself is not the program's fault.
func TestGoCommandsOwnTrouble(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "gone"))
	err := Build(t.Context(), "../..", "internal/judge/testdata/misbehave", filepath.Join("/nowhere", "x"))
	if said := (*NotCompiled)(nil); err == nil || errors.As(err, &said) || !strings.Contains(err.Error(), "not its fault") {
		t.Errorf("got %v, want trouble of the go command's own", err)
	}
}

// TestGoWork: a go.work in a folder above is about other modules.
func TestGoWork(t *testing.T) {
	work := filepath.Join(t.TempDir(), "go.work")
	if err := os.WriteFile(work, []byte("go 1.26\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOWORK", work)
	if err := Build(t.Context(), "../..", "internal/judge/testdata/misbehave", filepath.Join(t.TempDir(), "x")); err != nil {
		t.Error(err)
	}
}

// TestOwnLines: a ConfigMap that the cluster adds does not count, and neither does what is none.
func TestOwnLines(t *testing.T) {
	tr := &Trial{own: map[string]bool{"door": true}, program: &program{out: []string{
		"change: ADDED door", "change: ADDED mesh-root-cert", "change: (no name)", "change:", "change: ADDED ns/door",
	}}}
	want := []string{"ADDED door", "(no name)", "", "ADDED ns/door"}
	if got := tr.OwnLines("change:"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
