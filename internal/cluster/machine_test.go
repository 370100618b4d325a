package cluster

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

func TestOnThisMachine(t *testing.T) {
	for server, want := range map[string]bool{
		"https://127.0.0.1:6443": true, "https://[::1]:6443": true, "https://localhost:6443": true,
		"127.0.0.5:80": true, "https://0.0.0.0:41235": true, "https://192.0.2.1:6443": false,
		"https://10.0.0.1": false, "https://127.0.0.1.example.invalid": false,
		"https://no-such-host.invalid": false, "": false,
	} {
		if got := onThisMachine(server); got != want {
			t.Errorf("%q: %v, want %v", server, got, want)
		}
	}
}

// TestBehindAProxyNoNameIsOfThisMachine: a name leads to this machine's loopback address, but the
// request goes through a proxy, where the name may mean another machine.
func TestBehindAProxyNoNameIsOfThisMachine(t *testing.T) {
	lookup, proxy := lookupIP, proxyFor
	t.Cleanup(func() { lookupIP, proxyFor = lookup, proxy })
	lookupIP = func(string) ([]net.IP, error) { return []net.IP{net.IPv4(127, 0, 0, 1)}, nil }
	if !onThisMachine("https://my-cluster:6443") {
		t.Error("a name of a loopback address is refused without a proxy")
	}
	proxyFor = func(r *http.Request) (*url.URL, error) {
		if r.URL.Hostname() == "my-cluster" {
			return url.Parse("http://192.0.2.1:3128")
		}
		return nil, nil
	}
	if onThisMachine("https://my-cluster:6443") {
		t.Error("what is at the other end of the proxy is taken for this machine")
	}
	if !onThisMachine("https://127.0.0.1:6443") {
		t.Error("an address that the proxy is not used for is refused")
	}
}

// TestFindSaysWhatToDo: what people have in their kubeconfigs, and the two lines that they get.
func TestFindSaysWhatToDo(t *testing.T) {
	named := func(text, name string) string {
		return strings.NewReplacer("current-context: here", "current-context: "+name,
			"- name: here", "- name: "+name).Replace(text)
	}
	const token = "token: x"
	for _, c := range []struct {
		name, text string
		says, not  string
	}{
		{"far away", kubeconfig("https://192.0.2.1:6443", token), "is not on this machine", "make status"},
		{"minikube", named(kubeconfig("https://192.168.49.2:8443", token), "minikube"),
			"is a cluster of minikube", "is not on this machine"},
		{"minikube under another name", kubeconfig("https://192.168.49.2:8443\n    extensions:\n    - name: cluster_info\n      extension: {provider: minikube.sigs.k8s.io}", token),
			"is a cluster of minikube", "is not on this machine"},
		{"k3d on a host name", named(kubeconfig("https://host.docker.invalid:6443", token), "k3d-mine"),
			"say so: -context k3d-mine", "is not on this machine"},
		{"k3d as it is made", named(kubeconfig("https://0.0.0.0:41235", token), "k3d-mine"), "", "x"},
		{"a password in the address", kubeconfig("https://me:"+secret+"@192.0.2.1:6443", token), "me:xxxxx@", secret},
		{"it contradicts itself", kubeconfig("https://127.0.0.1:6443\n    insecure-skip-tls-verify: true\n    certificate-authority-data: eA==", token),
			"Mend the file", "Try again"},
		{"two ways to log in", kubeconfig("https://127.0.0.1:6443", "token: x\n    username: me\n    password: y"),
			"Mend the file", "Try again"},
		{"an auth-provider", kubeconfig("https://127.0.0.1:6443", "auth-provider: {name: gcp}"),
			"no such way to log in any more", "Try again"},
		{"no such certificate", kubeconfig("https://127.0.0.1:6443\n    certificate-authority: /nowhere", token),
			"Mend the file", "Try again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kubeconfig")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Find(path, "")
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			text := Explain(err)
			if !strings.Contains(text, c.says) || strings.Contains(text, c.not) || strings.Count(text, "\n") != 1 {
				t.Errorf("want two lines with %q and without %q:\n%s", c.says, c.not, text)
			}
		})
	}
}

func TestAddressHidesThePassword(t *testing.T) {
	for _, host := range []string{"https://me:" + secret + "@127.0.0.1:6443", "https://me:" + secret + "%zz@127.0.0.1"} {
		c := &Cluster{Config: &rest.Config{Host: host}}
		if got := c.Address(); strings.Contains(got, secret) {
			t.Errorf("%s shows the password", got)
		}
	}
}
