package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/e2e-framework/pkg/features"
)

// TestExerciseCommand runs the judge as `make exercise` does.
func TestExerciseCommand(t *testing.T) {
	const name = "07-never-started"
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	command, kubeconfig := filepath.Join(dir, "exercise"), filepath.Join(dir, "kubeconfig")
	build := exec.Command("go", "build", "-o", command, "./exercises/judge")
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, said)
	}
	if err := lab.observer.Kubeconfig(kubeconfig, contextName()); err != nil {
		t.Fatal(err)
	}
	// What a learner has done, as the compiler sees it.
	edited := func(t *testing.T, replacement string) string {
		overlay := filepath.Join(t.TempDir(), "overlay.json")
		text := fmt.Sprintf(`{"Replace": {%q: %q}}`, filepath.Join(root, "exercises", name, "main.go"), filepath.Join(root, replacement))
		if err := os.WriteFile(overlay, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "GOFLAGS=-overlay=" + overlay
	}
	start := func(t *testing.T, out *bytes.Buffer, args []string, env ...string) *exec.Cmd {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, command, args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = root, out, out
		cmd.Env = append(append(os.Environ(), "KUBECONFIG="+kubeconfig), env...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	check := func(code int, wants []string, args []string, env func(*testing.T) string) features.Func {
		return assess(func(t *testing.T) {
			var out bytes.Buffer
			var vars []string
			if env != nil {
				vars = []string{env(t)}
			}
			err := start(t, &out, args, vars...).Wait()
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
	testenv.Test(t, features.New("make exercise").
		Assess("says what is still wrong", check(1, []string{
			"Exercise 07 · never started\n", "\nNot yet.\n", "   | ConfigMaps in the cache: 0\n", "\nHint: make exercise N=07 HINT=1\n",
		}, []string{"7"}, nil)).
		Assess("says what is solved, and what is next", check(0, []string{
			"\nSolved.\n   4 ConfigMaps, 1 WATCH.\n", "\nNext: exercises/08-tombstone/main.go, make exercise N=08\n",
		}, []string{"07"}, func(t *testing.T) string { return edited(t, "exercises/"+name+"/solution/main.go") })).
		Assess("says what the compiler says", check(1, []string{
			"\nNot yet.\n   Your program does not compile:\n", "undefined: find",
		}, []string{"07"}, func(t *testing.T) string { return edited(t, answers+"does-not-compile/main.go") })).
		Assess("cleans up on Ctrl-C", assess(func(t *testing.T) {
			var out bytes.Buffer
			cmd := start(t, &out, []string{"10"})
			err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
				list, err := lab.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: exerciseLabel + "10-slow-handler"})
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
			noneLeft(t, "10-slow-handler")
		})).Feature())
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
