package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOneSetOfVersions: what make up compiles of client-go and the like for the control plane, lessons
// need not compile again, as long as all modules ask for the same versions of what they share.
func TestOneSetOfVersions(t *testing.T) {
	root := requirements(t, "../go.mod")
	others, err := filepath.Glob("../*/go.mod")
	if err != nil || len(others) == 0 {
		t.Fatal(others, err)
	}
	for _, other := range others {
		shared := 0
		for module, version := range requirements(t, other) {
			if module == "sigs.k8s.io/controller-runtime" {
				continue // e2e-framework asks for an older one than controller-runtime/ is about
			}
			switch root[module] {
			case "":
			case version:
				shared++
			default:
				t.Errorf("%s: %s %s, and %s in the root's go.mod", other, module, version, root[module])
			}
		}
		if shared == 0 {
			t.Errorf("%s shares nothing with the root's", other)
		}
	}
}

// requirements are the modules of a go.mod, by path.
func requirements(t *testing.T, path string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(?:\t|require )(\S+) (v\S+)`).FindAllStringSubmatch(string(raw), -1) {
		versions[m[1]] = m[2]
	}
	return versions
}

// TestGoDefaultFlags: a package that is compiled with other flags is compiled once more. So nobody
// gives flags that change what a package compiles to, but -race and -tags.
func TestGoDefaultFlags(t *testing.T) {
	files := []string{"../Makefile", "../.ci/run", "../.devcontainer/devcontainer.json", "../.github/workflows/ci.yaml"}
	for _, pattern := range []string{"../scripts/*", "../cluster/internal/compile/*.go", "../e2e/*.go", "../internal/judge/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") && strings.Contains(path, "/compile/") {
			continue // it tries flags on a module of its own
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range []string{"-trimpath", "CGO_ENABLED", "-gcflags", "-asmflags", "-covermode", "-msan"} {
			if strings.Contains(string(raw), flag) {
				t.Errorf("%s gives %s: see TestGoDefaultFlags", path, flag)
			}
		}
	}
}
