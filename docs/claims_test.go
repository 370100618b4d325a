// Package docs_test checks the documents against what they speak of.
package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// claims is how many statements the notes make.
const claims = 29

// verdicts are one scale, best first.
var verdicts = []string{"true", "true, with a limit", "half true", "true once, no longer", "not true"}

// row is a row of the ledger.
type row struct {
	Claim                         string // N1, or B1 for what goes beyond the notes
	Says, Verdict, Today, Depends string
	Shown                         []place // steps of lessons
	Guards                        []place // features of tests
}

// place names a step, as 01 · "title", or a feature of a test, as TestDirect · "sentence".
type place struct{ In, Name string }

var placeExpr = regexp.MustCompile(`(\w+) · “([^”]+)”`)

func places(cell string) (found []place) {
	for _, m := range placeExpr.FindAllStringSubmatch(cell, -1) {
		found = append(found, place{m[1], m[2]})
	}
	return found
}

// parseLedger reads the rows of the table in docs/claims.md.
func parseLedger(text string) (rows []row, err error) {
	for n, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "| N") && !strings.HasPrefix(line, "| B") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 7 {
			return nil, fmt.Errorf("line %d has %d cells, want 7: %s", n+1, len(cells), line)
		}
		rows = append(rows, row{Claim: cells[0], Says: cells[1], Verdict: cells[2], Today: cells[3],
			Depends: cells[4], Shown: places(cells[5]), Guards: places(cells[6])})
	}
	return rows, nil
}

func ledger(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile("claims.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parseLedger(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestLedger: every claim has one row, whose steps and tests are there and speak of that claim, and
// no step or test speaks of a claim that its row does not name it for.
func TestLedger(t *testing.T) {
	rows := ledger(t)
	steps, features := stepsOfLessons(t), featuresOfTests(t)
	byClaim := map[string]row{}
	for _, r := range rows {
		if _, twice := byClaim[r.Claim]; twice {
			t.Errorf("%s has two rows", r.Claim)
		}
		byClaim[r.Claim] = r
	}
	for n := 1; n <= claims; n++ {
		if _, ok := byClaim["N"+strconv.Itoa(n)]; !ok {
			t.Errorf("N%d has no row", n)
		}
	}
	for _, r := range rows {
		if r.Says == "" || r.Today == "" || r.Depends == "" || !slices.Contains(verdicts, r.Verdict) {
			t.Errorf("%s is incomplete, or its verdict %q is none of %q", r.Claim, r.Verdict, verdicts)
		}
		if len(r.Shown) == 0 || len(r.Guards) == 0 {
			t.Errorf("%s names %d steps and %d tests, want at least one of each", r.Claim, len(r.Shown), len(r.Guards))
		}
	}
	check := func(what string, named func(row) []place, there map[place][]string) {
		for _, r := range rows {
			for _, p := range named(r) {
				labels, ok := there[p]
				if !ok {
					t.Errorf("%s names a %s that is not there: %s · %q", r.Claim, what, p.In, p.Name)
				} else if !slices.Contains(labels, r.Claim) {
					t.Errorf("%s names a %s that is not about it: %s · %q is about %v", r.Claim, what, p.In, p.Name, labels)
				}
			}
		}
		for p, labels := range there {
			for _, claim := range labels {
				if !slices.Contains(named(byClaim[claim]), p) {
					t.Errorf("the row of %s does not name a %s about it: %s · “%s”", claim, what, p.In, p.Name)
				}
			}
		}
	}
	check("step", func(r row) []place { return r.Shown }, steps)
	check("test", func(r row) []place { return r.Guards }, features)
}

// stepsOfLessons finds every lesson.Step literal, with its claims.
func stepsOfLessons(t *testing.T) map[place][]string {
	t.Helper()
	steps := map[place][]string{}
	for path, file := range parse(t, "../lessons/*/*.go") {
		number, _, _ := strings.Cut(filepath.Base(filepath.Dir(path)), "-")
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			fields := map[string]string{}
			for _, e := range literal.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					if key, ok := kv.Key.(*ast.Ident); ok {
						fields[key.Name] = text(kv.Value)
					}
				}
			}
			if claims := strings.Fields(fields["Claims"]); len(claims) > 0 && fields["Title"] != "" {
				steps[place{number, fields["Title"]}] = claims
			}
			return true
		})
	}
	return steps
}

// featuresOfTests finds every features.New("...").WithLabel("claim", "N..."), with its test.
func featuresOfTests(t *testing.T) map[place][]string {
	t.Helper()
	found := map[place][]string{}
	for _, file := range parse(t, "../e2e/*_test.go") {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if claim, ok := claimLabel(n); ok {
					name := featureName(n)
					if name == "" {
						t.Errorf("%s labels %s on a feature whose name is no literal", f.Name.Name, claim)
					}
					p := place{f.Name.Name, name}
					found[p] = append(found[p], claim)
				}
				return true
			})
		}
	}
	return found
}

func claimLabel(n ast.Node) (claim string, ok bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 2 || text(call.Args[0]) != "claim" {
		return "", false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	return text(call.Args[1]), ok && method.Sel.Name == "WithLabel"
}

// featureName follows a chain of calls to its features.New.
func featureName(n ast.Node) string {
	for {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return ""
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return ""
		}
		if method.Sel.Name == "New" && len(call.Args) == 1 {
			return text(call.Args[0])
		}
		n = method.X
	}
}

// text is the value of a string literal, "" for anything else.
func text(e ast.Expr) string {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return s
}

func parse(t *testing.T, pattern string) map[string]*ast.File {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, %v", pattern, paths, err)
	}
	files := map[string]*ast.File{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = file
	}
	return files
}
