package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"client-go-lessons/internal/observer"
)

var programExpr = regexp.MustCompile("(?s)<!-- program: [^\n]* -->\n```go\n(.*?)```\n")

// TestPrograms runs the whole program of each lesson's page as a reader would who pastes it: in a
// module of its own, with a kubeconfig and nothing else.
func TestPrograms(t *testing.T) {
	pages, err := filepath.Glob("../docs/0*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range programExpr.FindAllStringSubmatch(string(raw), -1) {
			t.Run(filepath.Base(page), func(t *testing.T) {
				noteFailure(t)
				runProgram(t, m[1])
			})
		}
	}
}

func runProgram(t *testing.T, source string) {
	t.Helper()
	ns, err := lab.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "client-go-lessons-e2e-program-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = lab.client.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{})
	})
	for name, tier := range map[string]string{"app": "frontend", "database": "backend"} {
		_, err = lab.client.CoreV1().ConfigMaps(ns.Name).Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}},
			Data:       map[string]string{"color": "blue"},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"main.go": source, "go.sum": string(sum),
		// The same versions, so that nothing is fetched or compiled again.
		"go.mod": strings.Replace(string(mod), "module client-go-lessons", "module program", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := goBuild(dir, "-mod=mod", "-o", "program", "."); err != nil {
		t.Fatal(err)
	}

	proxy := ownObserver(t)
	path := filepath.Join(dir, "kubeconfig")
	if err := proxy.Kubeconfig(path, "here"); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config.Contexts["here"].Namespace = ns.Name
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "program"))
	cmd.Env = append(cleanEnv(dir), "KUBECONFIG="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v, it printed %q", err, out)
	}
	record := configMaps(proxy.Since(observer.Mark{}))
	if record.Count() == 0 {
		t.Error("it sent no request")
	}
	t.Logf("%s%s", out, record)
}
