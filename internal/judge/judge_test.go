package judge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
			tr := &trial{path: path, observer: watcher, patience: 10 * time.Second}
			if strings.Contains(c.want, "hangs") {
				tr.patience = 300 * time.Millisecond
			}
			defer func() {
				if err := tr.close(); err != nil {
					t.Error(err)
				}
			}()
			if err := tr.start("MISBEHAVE=" + c.how); err != nil {
				t.Fatal(err)
			}
			err = tr.must(t.Context(), "sing", func() bool { return false })
			if p := (*problem)(nil); !errors.As(err, &p) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a problem: %q", err, c.want)
			}
			tr.program.kill()
			lines, more := tr.program.printed()
			if len(lines) > shown || c.how == "floods" && more == 0 || c.how != "floods" && more > 0 {
				t.Errorf("%d lines are shown, %d are not", len(lines), more)
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
	tr := &trial{path: path, patience: time.Minute}
	defer func() { _ = tr.close() }()
	if err := tr.start("MISBEHAVE=hangs"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := tr.until(ctx, "sing", func() bool {
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

// TestUsage: what is not understood gets a line, the usage and exit code 2, and needs no cluster.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "Which exercise? There are 01 to 12."},
		{[]string{"13"}, 2, `There is no exercise "13": there are 01 to 12.`},
		{[]string{"1", "2"}, 2, "One exercise at a time, not 1 2."},
		{[]string{"-all", "2"}, 2, "not both"},
		{[]string{"-nonsense"}, 2, "flag provided but not defined"},
		{[]string{"-h"}, 0, "make exercise N=03"},
		{[]string{"-hint", "3"}, 0, "resourceVersion"},
		{[]string{"-solution", "03-missed-changes"}, 0, "exercises/03-missed-changes/solution/main.go"},
		{[]string{"-kubeconfig", "/no/such/file", "3"}, 1, "cannot read -kubeconfig /no/such/file"},
	} {
		var out bytes.Buffer
		if code := run(c.args, &out, &out); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%q: exit code %d, want %d, and %q in:\n%s", c.args, code, c.code, c.want, out.String())
		}
	}
}

func TestVerdictFitsATerminal(t *testing.T) {
	var out bytes.Buffer
	r := &runner{out: &out}
	long := "exercises/05-too-early/main.go:39:27: cannot use ctx (variable of interface type context.Context) " +
		"as <-chan struct{} value in argument to factory.WaitForCacheSync"
	r.verdict(Verdict{Text: strings.Repeat("Your program hangs. ", 20), Printed: []string{strings.Repeat("é", 200), long}, More: 3})
	if !strings.Contains(out.String(), "factory.WaitForCacheSync\n") {
		t.Errorf("the end of a line is not shown:\n%s", out.String())
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

var fixMe = regexp.MustCompile(`(?m)^\t+// FIX ME: `)

// TestExercises: each is small, has one place to change, a hint, and a solution that differs there.
func TestExercises(t *testing.T) {
	readme := read(t, "../../exercises/README.md")
	folders, err := filepath.Glob("../../exercises/[0-9]*")
	if err != nil || len(folders) != len(All) {
		t.Fatalf("%d folders, %d exercises: %v", len(folders), len(All), err)
	}
	for i, e := range All {
		t.Run(e.Name, func(t *testing.T) {
			folder := filepath.Join("../../exercises", e.Name)
			if e.Number() != fmt.Sprintf("%02d", i+1) {
				t.Errorf("exercise %d has number %s", i+1, e.Number())
			}
			shipped, solution := read(t, folder+"/main.go"), read(t, folder+"/solution/main.go")
			if n := len(fixMe.FindAllString(shipped, -1)); n != 1 {
				t.Errorf("%d places to fix, want 1", n)
			}
			if fixMe.MatchString(solution) {
				t.Error("the solution has a place to fix")
			}
			for name, text := range map[string]string{"main.go": shipped, "solution/main.go": solution} {
				checkLook(t, name, text)
			}
			if hint := read(t, folder+"/hint.md"); utf8.RuneCountInString(hint) < 80 {
				t.Errorf("the hint is %q", hint)
			} else {
				for line := range strings.Lines(hint) {
					if utf8.RuneCountInString(line) > 81 {
						t.Errorf("hint.md: more than 80 columns: %s", line)
					}
				}
			}
			section := regexp.MustCompile(`(?s)Lesson \d\d, "(.*?)":\s+(docs/\S+\.md)\.`).FindStringSubmatch(read(t, folder+"/hint.md"))
			if section == nil {
				t.Error("the hint names no section of a page")
			} else if title := strings.Join(strings.Fields(section[1]), " "); !strings.Contains(read(t, "../../"+section[2]), "\n## "+title+"\n") {
				t.Errorf("%s has no section %q", section[2], title)
			}
			for _, want := range []string{"// Exercise " + e.Number() + ": ", "make exercise N=" + e.Number() + " "} {
				if !strings.Contains(shipped, want) {
					t.Errorf("main.go does not say %q", want)
				}
			}
			if !strings.Contains(readme, "]("+e.Name+"/main.go)") {
				t.Errorf("exercises/README.md has no link to %s/main.go", e.Name)
			}
			checkNear(t, shipped, solution)
		})
	}
}

func checkLook(t *testing.T, name, text string) {
	t.Helper()
	if formatted, err := format.Source([]byte(text)); err != nil || string(formatted) != text {
		t.Errorf("%s: gofmt would change it: %v", name, err)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if strings.HasPrefix(name, "main") && len(lines) > 80 {
		t.Errorf("%s has %d lines, 80 at most", name, len(lines))
	}
	for i, line := range lines {
		if n := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); n > 100 {
			t.Errorf("%s:%d has %d columns, 100 at most", name, i+1, n)
		}
	}
}

// checkNear wants one changed stretch, around the place to fix, but for the title and imports.
func checkNear(t *testing.T, shipped, solution string) {
	t.Helper()
	body := func(text string) []string {
		_, after, _ := strings.Cut(text, "\nfunc main() ")
		return strings.Split(after, "\n")
	}
	was, is := body(shipped), body(solution)
	from := 0
	for from < len(was) && from < len(is) && was[from] == is[from] {
		from++
	}
	same := 0 // lines at the end
	for same < len(was)-from && same < len(is)-from && was[len(was)-1-same] == is[len(is)-1-same] {
		same++
	}
	place := slices.IndexFunc(was, func(line string) bool { return strings.Contains(line, "// FIX ME: ") })
	if place < from || place-from > 3 || len(was)-same-from > 26 {
		t.Errorf("the solution changes lines %d to %d of the body, and the place to fix is line %d", from, len(was)-same, place)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
