package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestBeyond: each row of the table in docs/beyond.md has a check of its name, which is in the
// module controller-runtime/ and runs there, on this test's cluster.
func TestBeyond(t *testing.T) {
	t.Parallel()
	noteFailure(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "kubeconfig")
	if err := lab.observer.Kubeconfig(config, contextName()); err != nil {
		t.Fatal(err)
	}
	made, err := lab.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "beyond-e2e-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err := lab.client.CoreV1().Namespaces().Delete(ctx, made.Name, metav1.DeleteOptions{})
		if err != nil {
			t.Error(err)
		}
	})

	ctx, cancel := context.WithTimeout(t.Context(), 3*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-json", "-run", "^TestBeyond$", ".")
	cmd.Dir = "../controller-runtime"
	cmd.Env = append(os.Environ(), "KUBECONFIG="+config, "BEYOND_NAMESPACE="+made.Name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	passed := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		var event struct{ Action, Test string }
		if json.Unmarshal([]byte(line), &event) != nil || event.Action != "pass" {
			continue // what the compiler or the server's client prints is no event
		}
		if _, row, ok := strings.Cut(event.Test, "TestBeyond/"); ok {
			passed[strings.ReplaceAll(row, "_", " ")] = true
		}
	}
	page, err := os.ReadFile("../docs/beyond.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, m := range regexp.MustCompile(`(?m)^\| \*\*(.+?)\*\* \|`).FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, m[1])
	}
	slices.Sort(rows)
	if diff := cmp.Diff(rows, slices.Sorted(maps.Keys(passed))); diff != "" {
		t.Errorf("the rows of docs/beyond.md and the checks that passed (-page +checks)\n%s", diff)
	}
}
