package docs_test

import (
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTechniqueCanBePasted: what a lesson calls its technique is one function that fits a screen, and
// compiles in an empty module that requires client-go and nothing of this workspace.
func TestTechniqueCanBePasted(t *testing.T) {
	const most = 40 // lines
	for path, name := range techniques(t) {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			function, err := code(path, string(text), "func "+name+" without comment")
			if err != nil {
				t.Fatal(err)
			}
			if len(function) > most {
				t.Errorf("%s has %d lines, %d at most", name, len(function), most)
			}
			pasted, err := code(path, string(text), "func "+name+" with imports")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(strings.Join(pasted, "\n"), `"client-go-lessons/`) {
				t.Errorf("%s imports something of this workspace:\n%s", name, strings.Join(pasted, "\n"))
			}
			vetAlone(t, "package main\n\n"+strings.Join(pasted, "\n")+"\n\nfunc main() { _ = "+name+" }\n")
		})
	}
}

// techniques finds the lessons' techniques: the file and the name of each function.
func techniques(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for path, file := range parse(t, "../lessons/*/main.go") {
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if s, ok := literal.Type.(*ast.SelectorExpr); !ok || s.Sel.Name != "Technique" {
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
			found[filepath.Join(filepath.Dir(path), fields["File"])] = fields["Name"]
			return true
		})
	}
	if len(found) == 0 {
		t.Fatal("no lesson has a technique")
	}
	return found
}

// vetAlone compiles a program in a module of its own, with the versions of this workspace.
func vetAlone(t *testing.T, program string) {
	t.Helper()
	dir := t.TempDir()
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"main.go": program,
		"go.mod":  strings.Replace(string(module), "module client-go-lessons", "module pasted", 1),
		"go.sum":  string(sums),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}
