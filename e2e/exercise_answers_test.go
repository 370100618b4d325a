package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"client-go-lessons/internal/judge"
)

// answer is a program that somebody may hand in.
type answer struct {
	name   string
	source string
	want   *regexp.Regexp // of the verdict on a wrong one; nil for a right one
}

// answersTo are the program as shipped, then the solution, one that does nothing, and the folder
// answers.
func answersTo(t *testing.T, e judge.Exercise) []answer {
	t.Helper()
	folder := filepath.Join("../exercises", e.Name)
	all := []answer{
		{name: "wrong-shipped"},
		{name: "solution", source: readFile(t, filepath.Join(folder, "solution/main.go"))},
		{name: "wrong-empty", source: readFile(t, "../internal/judge/testdata/empty/main.go"), want: regexp.MustCompile("no request|printed nothing|no ConfigMap")},
	}
	files, err := filepath.Glob(filepath.Join(folder, "answers", "*.diff"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		a := readAnswer(t, folder, file)
		if a.name == "wrong-shipped" {
			all[0] = a
			continue
		}
		all = append(all, a)
	}
	if all[0].want == nil {
		t.Fatalf("%s/answers/wrong-shipped.diff does not say what the verdict is", folder)
	}
	return all
}

// readAnswer reads a file of this form: a line that says what is right or wrong with the program,
// "Verdict: " and a regular expression if it is wrong, "Base: shipped" or "Base: solution", and what
// it changes there, as diff -u writes it.
func readAnswer(t *testing.T, folder, file string) answer {
	t.Helper()
	a := answer{name: strings.TrimSuffix(filepath.Base(file), ".diff")}
	head, hunks, _ := strings.Cut(readFile(t, file), "@@\n")
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Verdict":
			a.want = regexp.MustCompile(value)
		case "Base":
			a.source = readFile(t, filepath.Join(folder, value, "main.go"))
		}
	}
	if strings.HasPrefix(a.name, "right-") != (a.want == nil) || a.source == "" {
		t.Fatalf("%s: a wrong answer, and only that, has a verdict, and each has a base", file)
	}
	if hunks == "" {
		return a
	}
	for hunk := range strings.SplitSeq(hunks, "@@\n") {
		var before, after strings.Builder
		for line := range strings.Lines(hunk) {
			if line[0] != '+' {
				before.WriteString(line[1:])
			}
			if line[0] != '-' {
				after.WriteString(line[1:])
			}
		}
		if n := strings.Count(a.source, before.String()); n != 1 {
			t.Fatalf("%s: these lines are there %d times, want once:\n%s", file, n, before.String())
		}
		a.source = strings.Replace(a.source, before.String(), after.String(), 1)
	}
	return a
}

type echo struct {
	answer
	path string
}

// echoes are programs that print these lines and ask the server for nothing: one ends, one stays.
func echoes(t *testing.T, program string, e judge.Exercise, lines []string) (all []echo) {
	t.Helper()
	for _, name := range []string{"wrong-echo", "wrong-echo-stays"} {
		path := filepath.Join(t.TempDir(), e.Name+"-"+name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(path, filepath.Base(program))
		if err := os.Link(program, path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".lines", []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "wrong-echo-stays" {
			if err := os.WriteFile(path+".stays", nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, echo{answer{name: name, want: regexp.MustCompile("")}, path})
	}
	return all
}

// linkAll makes one program of these sources: linking client-go to each of them would take more
// time than all the rest. Each becomes a package with its main function exported, and the one
// program is each of them under another name.
func linkAll(t *testing.T, sources map[string]string) (programs map[string]string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// Files that are nowhere but in the compiler's eyes.
	virtual := filepath.Join(root, "exercises", "all")
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	add := func(path, text string) {
		file := filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay.Replace)))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(virtual, path)] = file
	}
	var imports, cases strings.Builder
	programs = map[string]string{}
	for i, key := range slices.Sorted(maps.Keys(sources)) {
		name := fmt.Sprintf("x%d", i)
		text := strings.Replace(sources[key], "\npackage main\n", "\npackage "+name+"\n", 1)
		text = strings.Replace(text, "\nfunc main() ", "\nfunc Main() ", 1)
		add(filepath.Join(name, "main.go"), text)
		fmt.Fprintf(&imports, "import %q\n", "client-go-lessons/exercises/all/"+name)
		fmt.Fprintf(&cases, "case %q: %s.Main()\n", name, name)
		programs[key] = filepath.Join(dir, name)
	}
	add("main.go", "package main\n\nimport \"os\"\nimport \"path/filepath\"\n"+imports.String()+
		"\nfunc main() {\nswitch filepath.Base(os.Args[0]) {\n"+cases.String()+"}\n}\n")
	raw, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	overlayFile, all := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "all")
	if err := os.WriteFile(overlayFile, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", overlayFile, "-o", all, "./exercises/all")
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, said)
	}
	for _, path := range programs {
		if err := os.Link(all, path); err != nil {
			t.Fatal(err)
		}
	}
	return programs
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
