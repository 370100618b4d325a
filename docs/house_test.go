package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestLessonsStayReadable: a reader sees a lesson's file without scrolling far, and its lines
// without wrapping.
func TestLessonsStayReadable(t *testing.T) {
	files, err := filepath.Glob("../lessons/*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
		if len(lines) >= 200 {
			t.Errorf("%s has %d lines, want fewer than 200", path, len(lines))
		}
		for i, line := range lines {
			if n := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); n > 100 {
				t.Errorf("%s:%d has %d columns, 100 at most", path, i+1, n)
			}
		}
	}
}

// TestFits80Columns: what is read in a terminal is not wrapped by it. The e2e tests hold lessons to
// it in each run, too.
func TestFits80Columns(t *testing.T) {
	const columns = 80
	recorded, err := filepath.Glob("../lessons/*/output.txt")
	if err != nil || len(recorded) == 0 {
		t.Fatal(recorded, err)
	}
	texts := map[string]string{}
	for _, path := range recorded {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(raw)
	}
	help, err := exec.CommandContext(t.Context(), "make", "-s", "-C", "..", "help").CombinedOutput()
	if err != nil || !strings.Contains(string(help), "make help") {
		t.Fatalf("make help: %v\n%s", err, help)
	}
	texts["make help"] = string(help)
	for name, text := range texts {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > columns {
				t.Errorf("%s: a line of %d columns, %d at most: %s", name, n, columns, line)
			}
		}
	}
}

// TestRootModuleStaysSmall: what a learner's go.mod would need, and what the tests need; the rest
// lives in modules of its own.
func TestRootModuleStaysSmall(t *testing.T) {
	want := []string{
		"github.com/google/go-cmp", "go.uber.org/goleak", // of tests alone
		"golang.org/x/term",
		"k8s.io/api", "k8s.io/apimachinery", "k8s.io/client-go",
		"k8s.io/klog/v2", // client-go brings it; a MutationCache is made with a klog.Logger
		"sigs.k8s.io/e2e-framework",
	}
	raw, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(raw), -1) {
		got = append(got, m[1])
	}
	if !slices.Equal(got, want) {
		t.Errorf("direct requirements %v, want %v", got, want)
	}
}

// TestArrowsGoOneWay: what lies below internal/ serves lessons, exercises and tests, so it imports
// none of them; and what finds a cluster does not know a program's flags.
func TestArrowsGoOneWay(t *testing.T) {
	for _, c := range []struct{ packages, not string }{
		{"./internal/...", "client-go-lessons/e2e"},
		{"./internal/...", "client-go-lessons/lessons"},
		{"./internal/cluster", "client-go-lessons/internal/lesson"},
		{"./internal/term", "k8s.io/"},
	} {
		if found := imports(t, c.packages, "-deps", c.not); len(found) > 0 {
			t.Errorf("%s depends on %s", c.packages, found)
		}
	}
	// Not -deps: klog, below client-go, has flags.
	if found := imports(t, "./internal/cluster", "-f={{join .Imports \"\\n\"}}", "flag"); len(found) > 0 {
		t.Errorf("internal/cluster imports %s", found)
	}
}

// imports returns the lines of go list that begin with prefix.
func imports(t *testing.T, packages, flag, prefix string) (found []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", flag, packages)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil || len(out) == 0 {
		t.Fatalf("go list %s %s: %v", flag, packages, err)
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}
