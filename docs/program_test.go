package docs_test

import (
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"
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
var mainImports = []string{`"context"`, `"log"`, `"k8s.io/client-go/tools/clientcmd"`}

// program is a function of a Go file made into a whole program: with the imports that it uses, and a
// main that calls it.
func program(path, text, what string) ([]string, error) {
	name, ok := strings.CutPrefix(what, "func ")
	if !ok {
		return nil, fmt.Errorf("%q is not: func NAME", what)
	}
	pasted, err := code(path, text, what+" with imports")
	if err != nil {
		return nil, err
	}
	end := slices.Index(pasted, ")")
	imports, function := pasted[1:end], pasted[end+2:]
	var std, others []string
	for _, line := range slices.Concat(imports, mainImports) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || slices.Contains(std, line) || slices.Contains(others, line):
		case strings.Contains(line, "."):
			others = append(others, line)
		default:
			std = append(std, line)
		}
	}
	byPath := func(a, b string) int {
		return strings.Compare(a[strings.Index(a, `"`):], b[strings.Index(b, `"`):])
	}
	slices.SortFunc(std, byPath)
	slices.SortFunc(others, byPath)
	whole, err := format.Source(fmt.Appendf(nil, "package main\n\nimport (\n%s\n\n%s\n)\n\n%s\n%s\n",
		strings.Join(std, "\n"), strings.Join(others, "\n"), fmt.Sprintf(mainFunc, name), strings.Join(function, "\n")))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(whole), "\n"), "\n"), nil
}

// TestPrograms: each lesson's page shows its technique as a whole program, which compiles.
func TestPrograms(t *testing.T) {
	for path, name := range techniques(t) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := program(path, string(raw), "func "+name)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		lesson := filepath.Base(filepath.Dir(path))
		marker := fmt.Sprintf("<!-- program: lessons/%s/%s func %s -->", lesson, filepath.Base(path), name)
		if !strings.Contains(readPage(t, "docs/"+lesson+".md"), marker) {
			t.Errorf("docs/%s.md does not show the whole program: %s", lesson, marker)
		}
		vetAlone(t, strings.Join(whole, "\n")+"\n")
	}
}
