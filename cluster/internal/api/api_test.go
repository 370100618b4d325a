package api

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"client-go-lessons/cluster/internal/pki"
)

// serve answers by path and returns the kubeconfig for it.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})

	dir := filepath.Join(t.TempDir(), "pki")
	if err := pki.Ensure(dir); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	enc := base64.StdEncoding.EncodeToString
	path := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`apiVersion: v1
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: u, user: {client-certificate-data: %s, client-key-data: %s}}]
`, server.URL, enc(ca), enc(read(pki.Admin+".crt")), enc(read(pki.Admin+".key")))
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReady(t *testing.T) {
	for name, c := range map[string]struct {
		code    int
		body    string
		ready   bool
		failing []string
	}{
		"ready": {200, "[+]ping ok\nreadyz check passed\n", true, nil},
		"two checks fail": {500, "[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n",
			false, []string{"etcd", "rbac/bootstrap-roles"}},
		"no roles yet": {403, "{}", false, []string{"the roles of RBAC"}},
		"odd":          {502, "", false, []string{"the answer to /readyz, now 502"}},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := Open(serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.code)
				fmt.Fprint(w, c.body)
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ready, failing, err := client.Ready(context.Background())
			if ready != c.ready || !slices.Equal(failing, c.failing) || err != nil {
				t.Errorf("got %v %q %v, want %v %q", ready, failing, err, c.ready, c.failing)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	client, err := Open(serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"major":"1","gitVersion":"v1.37.2"}`)
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if v, err := client.Version(context.Background()); v != "v1.37.2" || err != nil {
		t.Errorf("%q %v", v, err)
	}
}

func TestWaitTellsWhatItWaitedFor(t *testing.T) {
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("out of patience"))
	defer cancel()
	_, err := Wait(ctx, func() (*Client, error) { return Open(path) }, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "still waiting for kube-root-ca.crt") || !strings.Contains(err.Error(), "out of patience") {
		t.Error(err)
	}
}

func TestOpenRefusesWhatIsNoKubeconfig(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "not yaml": "\t{", "no user": "clusters: [{cluster: {server: https://x}}]",
		"no authority": "clusters: [{cluster: {server: https://x}}]\nusers: [{user: {}}]",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kubeconfig")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
		})
	}
}
