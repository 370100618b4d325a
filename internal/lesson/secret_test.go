package lesson

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoTokenIsPrinted: a lesson that is given a token, and what goes wrong with it, never shows it.
func TestNoTokenIsPrinted(t *testing.T) {
	answer := func(code int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+secret {
				t.Errorf("%s %s came without the token", r.Method, r.URL)
			}
			w.Header().Set("Content-Type", "application/json")
			switch {
			case r.URL.Path == "/version" && code < 400:
				body = `{"gitVersion":"v1.99.0"}`
			case code == http.StatusOK && r.Method == http.MethodGet:
				body = `{"kind":"NamespaceList","apiVersion":"v1","items":[]}`
			}
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		})
	}
	status := `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"User \"x\" cannot get path \"/version\"","reason":"%s","code":%d}`
	failing := Step{Title: "bad", Run: func(_ context.Context, r *Run) error {
		r.Say("%v %+v %#v", r.Config, r.Config, r.Config)
		return fmt.Errorf("with %v: %w", r.Config, os.ErrInvalid)
	}}
	for _, c := range []struct {
		name   string
		server http.Handler // nil: there is none any more
		args   string
		code   int
		says   string
	}{
		{"help", nil, "-h", exitOK, "-kubeconfig"},
		{"misuse", nil, "-step 9", exitUsage, "no such step"},
		{"no server", nil, "", exitFailed, "refused"},
		{"not on this machine", nil, "far", exitFailed, "not on this machine"},
		{"an unknown user", answer(401, fmt.Sprintf(status, "Unauthorized", 401)), "", exitFailed, "does not know"},
		{"a user without rights", answer(403, fmt.Sprintf(status, "Forbidden", 403)), "", exitFailed, "lacks that right"},
		{"a server in trouble", answer(500, "oh"), "", exitFailed, "reach the cluster"},
		{"another server", answer(200, `{}`), "other-ca", exitFailed, "certificate"},
		{"a step that fails", answer(200, `{"metadata":{"name":"x"}}`), "-step 1", exitFailed, "invalid argument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewTLSServer(c.server)
			defer server.Close()
			url, args := server.URL, strings.Fields(c.args)
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			switch {
			case c.args == "far":
				url, args = "https://192.0.2.1", nil
			case c.args == "other-ca":
				ca, args = nil, nil
			case c.server == nil:
				server.Close()
			}
			path := filepath.Join(t.TempDir(), "kubeconfig")
			text := kubeconfig(url+"\n    certificate-authority-data: "+base64.StdEncoding.EncodeToString(ca), "token: "+secret)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			l := Lesson{Name: "09-test", Title: "test", Steps: []Step{failing}}
			code := run(l, append([]string{"-kubeconfig", path}, args...), strings.NewReader(""), &out, &errs)
			said := out.String() + errs.String()
			if code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, c.code, c.says, said)
			}
			if strings.Contains(said, secret) {
				t.Errorf("it shows the token:\n%s", said)
			}
		})
	}
}

// secret stands where a kubeconfig may hold one.
const secret = "eyJhbGciOiJSUzI1NiIsImtpZCI6I"

func kubeconfig(server, user string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: here\n" +
		"clusters:\n- name: c\n  cluster:\n    server: " + server + "\n" +
		"users:\n- name: u\n  user:\n    " + user + "\n" +
		"contexts:\n- name: here\n  context:\n    cluster: c\n    user: u\n"
}
