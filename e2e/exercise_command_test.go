package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/e2e-framework/pkg/features"
)

// TestExerciseCommand runs the judge as `make exercise` does, in a copy of the workspace: what a
// learner has in this one is nobody's business.
func TestExerciseCommand(t *testing.T) {
	const name = "07-empty-list"
	root := copyWorkspace(t)
	command, kubeconfig := filepath.Join(root, "exercise"), filepath.Join(root, "kubeconfig")
	build := exec.Command("go", "build", "-o", command, "./exercises")
	build.Dir = ".."
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, said)
	}
	if err := lab.observer.Kubeconfig(kubeconfig, contextName()); err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, out *bytes.Buffer, args ...string) *exec.Cmd {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, command, args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = root, out, out
		cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	mine := filepath.Join(root, "exercises", name, "main.go")
	// check judges the learner's program after it has become source, "" for as it is.
	check := func(source string, code int, wants ...string) features.Func {
		return assess(func(t *testing.T) {
			if source != "" {
				if err := os.WriteFile(mine, []byte(source), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			err := start(t, &out, "07").Wait()
			if got := exitCode(err); got != code {
				t.Errorf("exit code %d, want %d", got, code)
			}
			for _, want := range wants {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it does not say %q", want)
				}
			}
			for line := range strings.Lines(out.String()) {
				if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 {
					t.Errorf("more than 80 columns: %s", line)
				}
			}
			if t.Failed() {
				t.Log(out.String())
			}
			noneLeft(t, name)
		})
	}
	solution := readFile(t, filepath.Join("../exercises", name, "solution/main.go"))
	testenv.Test(t, features.New("make exercise").
		Assess("makes the program, and says what is still wrong with it", check("", 1,
			"Exercise 07 · ", "It is yours now", "\nNot yet.\n", "   | ConfigMaps in the cache: 0\n", "\nHint: make exercise N=07 HINT=1\n")).
		Assess("says what is solved, and what is next", check(solution, 0,
			"\nSolved.\n   4 ConfigMaps, 1 WATCH.\n", "\nNext: exercises/08-sudden-crash/main.go, make exercise N=08\n")).
		Assess("says what the compiler says", check(strings.Replace(solution, "list, err :=", "list, err := find //", 1), 1,
			"\nNot yet.\n   Your program does not compile:\n", "undefined: find")).
		Assess("keeps what is reset", assess(func(t *testing.T) {
			var out bytes.Buffer
			if err := start(t, &out, "-reset", "7").Wait(); err != nil || !strings.Contains(out.String(), "is kept: .learn/"+name+".1.go") {
				t.Errorf("%v\n%s", err, out.String())
			}
		})).
		Assess("judges at each save, and goes on when an exercise is solved", assess(func(t *testing.T) {
			out := &growing{}
			cmd := exec.Command(command)
			cmd.Dir, cmd.Stdout, cmd.Stderr = root, out, out
			cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill() }()
			out.mustSay(t, "Exercise 01 · ")
			_, _ = io.WriteString(stdin, "7\n")
			out.mustSay(t, "Exercise 07 · ", "Not yet.", "it is judged again")
			if err := os.WriteFile(mine, []byte(solution), 0o600); err != nil {
				t.Fatal(err)
			}
			out.mustSay(t, "Solved.", "Exercise 01 · ") // the first one that is not solved
			_, _ = io.WriteString(stdin, "q\n")
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			noneLeft(t, name)
		})).
		Assess("cleans up on Ctrl-C", assess(func(t *testing.T) {
			var out bytes.Buffer
			cmd := start(t, &out, "10")
			err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
				list, err := lab.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: exerciseLabel + "10-no-news"})
				return err == nil && len(list.Items) > 0, err
			})
			if err != nil {
				t.Fatal(err)
			}
			_ = cmd.Process.Signal(os.Interrupt)
			err = cmd.Wait()
			if got := exitCode(err); got != 130 || !strings.Contains(out.String(), "Interrupted.") {
				t.Errorf("exit code %d, want 130\n%s", got, out.String())
			}
			noneLeft(t, "10-no-news")
		})).Feature())
}

// growing is what a program that still runs has said.
type growing struct {
	mu   sync.Mutex
	text strings.Builder
	read int // up to where mustSay has read
}

func (g *growing) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

func (g *growing) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

// mustSay waits until these were said, one after the other.
func (g *growing) mustSay(t *testing.T, wants ...string) {
	t.Helper()
	for _, want := range wants {
		err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, limit, true, func(context.Context) (bool, error) {
			i := strings.Index(g.String()[g.read:], want)
			g.read += max(0, i)
			return i >= 0, nil
		})
		if err != nil {
			t.Fatalf("it does not say %q: %v\n%s", want, err, g)
		}
	}
}

// copyWorkspace copies what an exercise is compiled from, and leaves out what a learner made.
func copyWorkspace(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	files, err := exec.Command("git", "ls-files", "../go.mod", "../go.sum", "../exercises", "../internal").Output()
	if err != nil {
		t.Fatal(err)
	}
	for file := range strings.Lines(string(files)) {
		file = strings.TrimSpace(file)
		to := filepath.Join(root, "e2e", file)
		if err := cmp.Or(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, []byte(readFile(t, file)), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const exerciseLabel = "client-go-lessons/lesson=exercise-"

// noneLeft wants that the namespaces of an exercise are gone, or about to go.
func noneLeft(t *testing.T, name string) {
	t.Helper()
	list, err := lab.client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{LabelSelector: exerciseLabel + name})
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range list.Items {
		if ns.DeletionTimestamp == nil {
			t.Errorf("namespace %s is left behind", ns.Name)
		}
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return -int(status.Signal())
		}
		return exit.ExitCode()
	}
	return -1
}
