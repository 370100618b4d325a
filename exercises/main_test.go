package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"client-go-lessons/exercises/plays"
	"client-go-lessons/internal/judge"
)

// TestUsage: what is not understood gets a line, the usage and exit code 2, and needs no cluster.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-hint"}, 2, "Which exercise? There are 01 to 16."},
		{[]string{"99"}, 2, `There is no exercise "99": there are 01 to 16.`},
		{[]string{"1", "2"}, 2, "One exercise at a time, not 1 2."},
		{[]string{"-all", "2"}, 2, "not both"},
		{[]string{"-nonsense"}, 2, "flag provided but not defined"},
		{[]string{"-h"}, 0, "make exercise N=03"},
		{[]string{"-hint", "3"}, 0, "resourceVersion"},
		{[]string{"-solution", "03-missed-changes"}, 0, "exercises/03-missed-changes/solution/main.go"},
		{[]string{"-kubeconfig", "/no/such/file", "3"}, 1, "cannot read -kubeconfig /no/such/file"},
	} {
		var out bytes.Buffer
		if code := run(c.args, nil, &out, &out); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%q: exit code %d, want %d, and %q in:\n%s", c.args, code, c.code, c.want, out.String())
		}
	}
}

func TestStory(t *testing.T) {
	got := story("// Exercise 01: slow.\n//\n// It is\n// slow.\n//\n//\tmake exercise N=01\npackage main\n")
	if want := "   It is slow."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVerdictFitsATerminal(t *testing.T) {
	var out bytes.Buffer
	b := &workbench{screen: screen{out: &out}}
	long := "exercises/05-too-early/main.go:39:27: cannot use ctx (variable of interface type context.Context) " +
		"as <-chan struct{} value in argument to factory.WaitForCacheSync"
	b.verdict(judge.Verdict{Text: strings.Repeat("Your program hangs. ", 20), Printed: []string{strings.Repeat("é", 200), long}, More: 3})
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

// TestForm: each exercise is small, has a place to change, a hint, and a solution that differs there.
func TestForm(t *testing.T) {
	readme := read(t, "README.md")
	all, err := judge.List("..", plays.All)
	if err != nil || len(all) != len(plays.All) {
		t.Fatalf("%d exercises, %d plays: %v", len(all), len(plays.All), err)
	}
	for i, e := range all {
		t.Run(e.Name, func(t *testing.T) {
			if e.Number() != fmt.Sprintf("%02d", i+1) {
				t.Errorf("exercise %d has number %s", i+1, e.Number())
			}
			if e.Title == "" || len(e.Title) > 45 || e.Difficulty < 1 || e.Difficulty > 3 || e.Minutes == 0 {
				t.Errorf("exercise.yaml: %+v", e.About)
			}
			if _, err := os.Stat("../docs/" + e.Lesson + ".md"); err != nil {
				t.Errorf("exercise.yaml names no lesson: %v", err)
			}
			shipped, solution := read(t, e.Name+"/shipped/main.go"), read(t, e.Name+"/solution/main.go")
			checkLook(t, "shipped/main.go", shipped)
			checkLook(t, "solution/main.go", solution)
			checkHint(t, read(t, e.Name+"/hint.md"))
			title := "// Exercise " + e.Number() + ": " + strings.ToLower(e.Title[:1]) + e.Title[1:] + ".\n"
			for _, want := range []string{title, "make exercise N=" + e.Number() + " "} {
				if !strings.Contains(shipped, want) {
					t.Errorf("main.go does not say %q", want)
				}
			}
			if !strings.Contains(readme, "["+e.Name+"]("+e.Name+"/shipped/main.go) | "+e.Title+" |") {
				t.Errorf("exercises/README.md has no row for %s", e.Name)
			}
			if n := len(fixMe.FindAllString(shipped, -1)); n == 1 {
				checkNear(t, shipped, solution)
			} else if n > 1 {
				t.Errorf("%d places to fix, want 1 or none", n)
			}
			if fixMe.MatchString(solution) {
				t.Error("the solution has a place to fix")
			}
		})
	}
}

func checkHint(t *testing.T, hint string) {
	t.Helper()
	for line := range strings.Lines(hint) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("hint.md: more than 80 columns: %s", line)
		}
	}
	section := regexp.MustCompile(`(?s)Lesson \d\d, "(.*?)":\s+(docs/\S+\.md)\.`).FindStringSubmatch(hint)
	if section == nil {
		t.Error("the hint names no section of a page")
	} else if title := strings.Join(strings.Fields(section[1]), " "); !strings.Contains(read(t, "../"+section[2]), "\n## "+title+"\n") {
		t.Errorf("%s has no section %q", section[2], title)
	}
}

// TestGenerated: plays.go has what go generate would write.
func TestGenerated(t *testing.T) {
	folders, err := filepath.Glob("[0-9]*/play/play.go")
	if err != nil || len(folders) != len(plays.All) {
		t.Errorf("%d folders with a play, %d plays: run go generate ./exercises", len(folders), len(plays.All))
	}
}

// TestNothingIsLost: what a learner wrote is kept, and what is solved is remembered.
func TestNothingIsLost(t *testing.T) {
	var out bytes.Buffer
	b := &workbench{screen: screen{out: &out}, err: &out, root: t.TempDir()}
	e := judge.Exercise{Name: "03-missed-changes"}
	b.all = []judge.Exercise{e}
	mine := filepath.Join(b.root, b.program(e))
	write := func(path, text string) {
		t.Helper()
		if err := cmp.Or(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write(b.shipped(e), "as shipped")
	if err := b.begin(e); err != nil || read(t, mine) != "as shipped" {
		t.Fatalf("begun with %q, %v", read(t, mine), err)
	}
	for _, text := range []string{"my first", "my second"} {
		write(mine, text)
		if err := b.begin(e); err != nil || read(t, mine) != text {
			t.Errorf("beginning once more made it %q, %v", read(t, mine), err)
		}
		if code := b.reset(e); code != exitSolved || read(t, mine) != "as shipped" {
			t.Errorf("reset: exit code %d, and the program is %q", code, read(t, mine))
		}
	}
	for n, want := range []string{"my first", "my second"} {
		name := fmt.Sprintf(".learn/03-missed-changes.%d.go", n+1)
		if got := read(t, filepath.Join(b.root, name)); got != want || !strings.Contains(out.String(), "is kept: "+name) {
			t.Errorf("%s is %q, want %q, and its name in:\n%s", name, got, want, out.String())
		}
	}
	if next, ok := b.next(); !ok || next.Name != e.Name {
		t.Errorf("next is %s, %t", next.Name, ok)
	}
	if err := b.remember(e); err != nil {
		t.Fatal(err)
	}
	if next, ok := b.next(); ok {
		t.Errorf("next is %s, though it is solved", next.Name)
	}
}

func checkLook(t *testing.T, name, text string) {
	t.Helper()
	if formatted, err := format.Source([]byte(text)); err != nil || string(formatted) != text {
		t.Errorf("%s: gofmt would change it: %v", name, err)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if strings.HasPrefix(name, "shipped") && len(lines) > 80 {
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
