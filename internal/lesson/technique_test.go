package lesson

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/term"
)

// TestTechniqueComesFirst: it runs before the steps, what it prints is indented like theirs, and a
// line says what it did on the wire. With -step it does not run.
func TestTechniqueComesFirst(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/version":
			fmt.Fprint(w, `{"gitVersion":"v1.99.0"}`)
		case strings.HasSuffix(r.URL.Path, "/configmaps"):
			fmt.Fprint(w, `{"kind":"ConfigMapList","apiVersion":"v1","items":[]}`)
		default:
			fmt.Fprint(w, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"x"}}`)
		}
	}))
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := kubeconfig(server.URL+"\n    certificate-authority-data: "+base64.StdEncoding.EncodeToString(ca), "token: x")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(ctx context.Context, cfg *rest.Config, ns string) error {
		clientset, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return err
		}
		list, err := clientset.CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		fmt.Println("there are", len(list.Items))
		fmt.Print("no more")
		return nil
	}
	l := Lesson{Name: "09-test", Title: "test",
		Technique: Technique{Name: "read", File: "main.go", Run: read},
		Steps: []Step{{Name: "one", Title: "One?", Claims: "N1", Run: func(_ context.Context, r *Run) error {
			r.Say("a step")
			return nil
		}}},
	}
	for args, want := range map[string]string{
		"": "The technique in one piece: read, in main.go\n   there are 0\n   no more\n" +
			"   wire: 1 LIST, 1 new connection (HTTP/1.1), 53 B\n\n1  One?\n   a step\n",
		"-step one":         "1  One?\n   a step\n",
		"-step one -claims": "1  One?" + strings.Repeat(" ", 71) + "N1\n   a step\n",
	} {
		var out, errs bytes.Buffer
		code := run(l, append([]string{"-kubeconfig", path}, strings.Fields(args)...), strings.NewReader(""), &out, &errs)
		if _, steps, _ := strings.Cut(out.String(), "deleted at the end"); code != 0 || strings.TrimLeft(steps, "\n") != want {
			t.Errorf("%q: exit code %d, printed %q, want %q\n%s", args, code, steps, want, &errs)
		}
	}

	l.Technique.Meanwhile = func(context.Context, *rest.Config, string) error { return errors.New("cannot paint") }
	l.Technique.Run = func(ctx context.Context, cfg *rest.Config, ns string) error {
		clientset, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return err
		}
		w, err := clientset.CoreV1().ConfigMaps(ns).Watch(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		defer w.Stop()
		<-ctx.Done()
		return ctx.Err()
	}
	var out, errs bytes.Buffer
	if code := run(l, []string{"-kubeconfig", path}, strings.NewReader(""), &out, &errs); code != 1 ||
		!strings.Contains(errs.String(), "read: cannot paint") {
		t.Errorf("exit code %d, want 1 and the reason:\n%s", code, &errs)
	}
}

// TestTechniqueThatIsRefusedEnds: an informer that may not list tries again for ever.
func TestTechniqueThatIsRefusedEnds(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"User \"x\" cannot list resource \"configmaps\""}`)
	}))
	defer server.Close()
	r := &Run{out: term.NewPrinter(io.Discard), Namespace: "x", Config: &rest.Config{Host: server.URL,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}}}
	err := r.technique(t.Context(), Technique{Name: "read", Informers: true, Run: func(ctx context.Context, cfg *rest.Config, ns string) error {
		clientset, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return err
		}
		factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0, informers.WithNamespace(ns))
		factory.Core().V1().ConfigMaps().Informer()
		factory.StartWithContext(ctx)
		defer factory.Shutdown()
		return factory.WaitForCacheSyncWithContext(ctx).AsError()
	}})
	if !apierrors.IsForbidden(err) || !strings.Contains(cluster.Explain(err), "lacks that right") {
		t.Errorf("got %v, want a refusal and what to do", err)
	}
}
