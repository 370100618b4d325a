package docs_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mainFunc calls a technique. It finds the cluster as kubectl does.
const mainFunc = `func main() {
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{})
	cfg, err := kubeconfig.ClientConfig()
	if err != nil {
		log.Fatal(err)
	}
	namespace, _, err := kubeconfig.Namespace() // "default", if it names none
	if err != nil {
		log.Fatal(err)
	}
	if err := %s(context.Background(), cfg, namespace); err != nil {
		log.Fatal(err)
	}
}
`

// mainImports are what mainFunc needs.
var mainImports = map[string]string{
	"clientcmd": `"k8s.io/client-go/tools/clientcmd"`, "context": `"context"`, "log": `"log"`,
}

// program is a function of a Go file made into a whole program: with the imports that it uses, and a
// main that calls it.
func program(path, text, what string) ([]string, error) {
	name, ok := strings.CutPrefix(what, "func ")
	if !ok {
		return nil, fmt.Errorf("%q is not: func NAME", what)
	}
	body, err := code(path, text, what)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, text, 0)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && funcName(f) == name {
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if id, ok := s.X.(*ast.Ident); ok {
						used[id.Name] = true
					}
				}
				return true
			})
		}
	}
	imports := map[string]bool{}
	for _, line := range mainImports {
		imports[line] = true
	}
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		as, line := filepath.Base(target), spec.Path.Value
		if spec.Name != nil {
			as, line = spec.Name.Name, spec.Name.Name+" "+line
		}
		if used[as] {
			imports[line] = true
		}
	}
	var std, others []string
	for line := range imports {
		if strings.Contains(line, ".") {
			others = append(others, line)
		} else {
			std = append(std, line)
		}
	}
	byPath := func(a, b string) int {
		return strings.Compare(a[strings.Index(a, `"`):], b[strings.Index(b, `"`):])
	}
	slices.SortFunc(std, byPath)
	slices.SortFunc(others, byPath)
	whole := fmt.Sprintf("package main\n\nimport (\n%s\n\n%s\n)\n\n%s\n%s\n",
		strings.Join(std, "\n"), strings.Join(others, "\n"), fmt.Sprintf(mainFunc, name), strings.Join(body, "\n"))
	formatted, err := format.Source([]byte(whole))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(formatted), "\n"), "\n"), nil
}

var techniqueExpr = regexp.MustCompile(`lesson\.Technique\{\s*Name:\s+"(\w+)"`)

// TestTechniques: the technique of each lesson is at most 40 lines, the lesson's page shows it with its
// imports, and the whole program compiles in a module that requires nothing of this workspace.
func TestTechniques(t *testing.T) {
	mains, err := filepath.Glob("../lessons/*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatal(mains, err)
	}
	for _, path := range mains {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := techniqueExpr.FindSubmatch(raw)
		if m == nil {
			t.Errorf("%s has no technique", path)
			continue
		}
		name := string(m[1])
		lines, err := code(path, string(raw), "func "+name+" without comment")
		if n := len(lines) - 2; err != nil || n > 40 { // between its braces
			t.Errorf("%s: %s has %d lines, 40 at most: %v", path, name, n, err)
		}
		whole, err := program(path, string(raw), "func "+name)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		lesson := filepath.Base(filepath.Dir(path))
		page := readPage(t, "docs/"+lesson+".md")
		marker := fmt.Sprintf("<!-- program: lessons/%s/main.go func %s -->", lesson, name)
		imports := fmt.Sprintf("<!-- code: lessons/%s/main.go func %s with imports -->", lesson, name)
		if !strings.Contains(page, marker) && !strings.Contains(page, imports) {
			t.Errorf("docs/%s.md does not show the technique with its imports: %s", lesson, marker)
		}
		compiles(t, lesson, strings.Join(whole, "\n"))
	}
}

// compiles checks a program in a module of its own, which has the root module's versions, so that
// nothing is fetched or compiled for it.
func compiles(t *testing.T, name, program string) {
	t.Helper()
	dir := t.TempDir()
	raw, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod := strings.Replace(string(raw), "module client-go-lessons", "module program", 1)
	mod = regexp.MustCompile(`(?m)^\t(sigs\.k8s\.io/e2e-framework|go\.uber\.org/goleak|github\.com/google/go-cmp) .*\n`).
		ReplaceAllString(mod, "")
	sum, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"main.go": program + "\n", "go.mod": mod, "go.sum": string(sum)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", "-mod=mod", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("lesson %s: the program of its page does not compile: %v\n%s", name, err, bytes.TrimSpace(out))
	}
}
