package cluster

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// secret stands where a kubeconfig may hold one.
const secret = "eyJhbGciOiJSUzI1NiIsImtpZCI6I"

// kubeconfigs are what people have, whole and broken.
var kubeconfigs = []string{
	"",
	"apiVersion: v1\nkind: Config\n",
	`{"apiVersion":"v1","kind":"Config","current-context":"a"}`,
	kubeconfig("https://127.0.0.1:6443", "token: "+secret),
	kubeconfig("https://[::1]:6443", "token: "+secret),
	kubeconfig("https://localhost:6443", "username: me\n    password: "+secret),
	kubeconfig("https://kubernetes.example:6443", "token: "+secret),
	kubeconfig("https://127.0.0.1.example:6443", "token: "+secret),
	kubeconfig("https://127.0.0.1@kubernetes.example", "token: "+secret),
	kubeconfig("127.0.0.1:6443", "token: "+secret),
	kubeconfig("https://127.0.0.1:6443\n    proxy-url: http://192.0.2.1:3128", "token: "+secret),
	kubeconfig("https://127.0.0.1:6443\n    certificate-authority: /nowhere", "client-certificate: /nowhere\n    client-key: /nowhere"),
	kubeconfig("https://127.0.0.1:6443\n    certificate-authority-data: "+secret, "client-key-data: "+secret),
	kubeconfig("https://127.0.0.1:6443", "token: ["+secret+"]"),
	kubeconfig("https://127.0.0.1:6443", "as-groups: "+secret),
	kubeconfig("https://127.0.0.1:6443", secret),
	kubeconfig("https://127.0.0.1:6443", "client-key-data: "+secret+"\n\t- x"),
	kubeconfig("https://me:"+secret+"@192.0.2.1:6443", "token: x"),
	"contexts: [{name: \"a\\nb\", context: {}}]\n",
	"users:\n- name: a\n  user: " + secret + "\n",
	"users: " + secret,
	secret,
	"clusters: {\x00}",
}

func kubeconfig(server, user string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: here\n" +
		"clusters:\n- name: c\n  cluster:\n    server: " + server + "\n" +
		"users:\n- name: u\n  user:\n    " + user + "\n" +
		"contexts:\n- name: here\n  context:\n    cluster: c\n    user: u\n"
}

// FuzzFind: whatever a kubeconfig holds, choosing a cluster from it ends in one that may be
// written to, or in one or two lines that say what to do; and these repeat nothing secret.
func FuzzFind(f *testing.F) {
	old := lookupIP
	f.Cleanup(func() { lookupIP = old })
	lookupIP = func(host string) ([]net.IP, error) { // no name server is asked
		if host == "localhost" {
			return []net.IP{net.IPv4(127, 0, 0, 1)}, nil
		}
		return nil, errors.New("no such host")
	}
	for _, text := range kubeconfigs {
		f.Add(text, "")
		f.Add(text, "here")
	}
	path := filepath.Join(f.TempDir(), "kubeconfig")
	f.Fuzz(func(t *testing.T, text, name string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		conn, err := Find(path, name)
		if err != nil {
			said := Explain(err)
			if n := strings.Count(said, "\n") + 1; n > 2 {
				t.Errorf("%d lines, want one or two:\n%s", n, said)
			}
			if strings.Contains(text, secret) && strings.Contains(said, secret) && !strings.Contains(name, secret) {
				t.Errorf("it repeats what may be a secret:\n%s", said)
			}
			return
		}
		if conn.Context == "" || conn.Config == nil {
			t.Fatalf("it chose nothing, and says nothing: %+v", conn)
		}
		if name == "" && !loopback(conn.Config) {
			t.Errorf("it chose %s, which is not on this machine", conn.Config.Host)
		}
	})
}

// loopback judges by what client-go would connect to.
func loopback(cfg *rest.Config) bool {
	u, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil || cfg.Proxy != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
