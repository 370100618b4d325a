package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/internal/observer"
)

// TestExerciseAlone runs an exercise's program without the judge, as go run does.
func TestExerciseAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-o", path, "./exercises/02-phantom-events/shipped")
	build.Dir = ".."
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, said)
	}
	interrupt := func(t *testing.T, o *observer.Observer) (code int, stderr string) {
		kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
		if err := o.Kubeconfig(kubeconfig, contextName()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		cmd := exec.CommandContext(ctx, path)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
		var said bytes.Buffer
		cmd.Stderr = &said
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		mark := o.Mark()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		watching, err := o.Wait(ctx, mark, func(r observer.Record) bool {
			return r.Verb("watch", "configmaps").Open().Count() > 0
		})
		if err != nil {
			t.Fatal(err)
		}
		ns := watching.Verb("watch", "configmaps").Requests[0].Namespace
		change := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "change"}}
		if _, err := lab.client.CoreV1().ConfigMaps(ns).Create(ctx, change, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stdout)
		if line, err := lines.ReadString('\n'); err != nil { // so its watch is answered
			t.Fatal(line, err)
		}
		_ = cmd.Process.Signal(os.Interrupt)
		_, _ = io.Copy(io.Discard, lines) // millions
		return exitCode(cmd.Wait()), said.String()
	}
	start := func(t *testing.T) *observer.Observer {
		o, err := observer.Start(lab.config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = o.Close() })
		return o
	}
	testenv.Test(t, features.New("an exercise without the judge").
		Assess("ends on Ctrl-C, also if it does not look at its context", assess(func(t *testing.T) {
			code, said := interrupt(t, start(t))
			if code != 130 || !strings.Contains(said, "went on after its context had ended, so it was killed") {
				t.Errorf("exit code %d, want 130\n%s", code, said)
			}
			noneLeft(t, "02-phantom-events")
		})).
		Assess("says which namespace it leaves behind", assess(func(t *testing.T) {
			o := start(t)
			o.Inject(observer.Match{Verb: "delete", Resource: "namespaces"}, observer.Forbidden())
			code, said := interrupt(t, o)
			name := regexp.MustCompile(`namespace (exercise-02-\w+) is left behind.*\nRemove it with: kubectl .*delete namespace exercise-02-`).FindStringSubmatch(said)
			if code != 130 || name == nil {
				t.Fatalf("exit code %d, want 130, and the namespace's name in:\n%s", code, said)
			}
			if err := lab.client.CoreV1().Namespaces().Delete(t.Context(), name[1], metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})).Feature())
}
