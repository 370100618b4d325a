package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"client-go-lessons/cluster/internal/local"
	"client-go-lessons/cluster/internal/pki"
)

// closedToOthers checks what the control plane keeps from everyone who has not
// got its kubeconfig.
func closedToOthers(t *testing.T, dir string) {
	certs := filepath.Join(at(t, dir).Local(), "pki")
	api := local.LastPort(at(t, dir))

	t.Run("nobody without a name learns more than its health", func(t *testing.T) {
		paths := map[string]int{
			"/healthz": 200, "/livez": 200, "/readyz": 200,
			"/version": 401, "/api": 401, "/apis": 401, "/metrics": 401, "/openapi/v2": 401,
			"/api/v1/namespaces/default/configmaps": 401, "/debug/pprof/": 401, "/": 401, "/nowhere": 401,
		}
		for _, path := range pathsOf(t, dir) {
			if paths[path] == 0 {
				paths[path] = 401
			}
		}
		if len(paths) < 50 {
			t.Errorf("the server names %d paths, want 50 at least", len(paths))
		}
		for path, want := range paths {
			if got, err := getTLS(certs, pki.CA, "", api, path); err != nil || got != want {
				t.Errorf("GET %s without a certificate: %d %v, want %d", path, got, err, want)
			}
		}
	})
	t.Run("every port is on the loopback interface", func(t *testing.T) {
		for _, a := range listening(t, pidOf(t, dir)) {
			if !a.IP.IsLoopback() {
				t.Errorf("it listens on %v", &a)
			}
		}
	})
	t.Run("etcd lets nobody in but the API server", func(t *testing.T) {
		asked := 0
		for _, a := range listening(t, pidOf(t, dir)) {
			if a.Port == api {
				continue
			}
			asked++
			if code, err := getTLS(certs, pki.EtcdCA, "", a.Port, "/version"); err == nil {
				t.Errorf("port %d answers %d without a certificate", a.Port, code)
			}
			if code, err := getTLS(certs, pki.EtcdCA, pki.Admin, a.Port, "/version"); err == nil {
				t.Errorf("port %d answers %d to the API server's administrator", a.Port, code)
			}
			if code, err := getTLS(certs, pki.EtcdCA, pki.EtcdClient, a.Port, "/version"); err != nil || code != 200 {
				t.Errorf("port %d answers %d %v to the API server", a.Port, code, err)
			}
			if resp, err := http.Get("http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(a.Port)) + "/version"); err == nil {
				resp.Body.Close()
				if resp.StatusCode != http.StatusBadRequest {
					t.Errorf("port %d answers %d without TLS", a.Port, resp.StatusCode)
				}
			}
		}
		if asked != 1 {
			t.Errorf("%d ports but the API server's, want 1", asked)
		}
	})
	t.Run("no other user can read its files", func(t *testing.T) {
		files := 0
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				// Files come and go while it runs.
				if errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				return err
			}
			if info, err := d.Info(); err == nil {
				files++
				if info.Mode().Perm()&0o077 != 0 {
					t.Errorf("%s is %v", path, info.Mode())
				}
			}
			return nil
		})
		if err != nil || files < 20 {
			t.Errorf("%d files, %v", files, err)
		}
	})
	t.Run("another user who tries opens none of them", func(t *testing.T) { othersCanOpenNothing(t, dir) })
}

// pathsOf are all that the server names to its administrator.
func pathsOf(t *testing.T, dir string) []string {
	t.Helper()
	raw, err := connectTo(t, dir).Discovery().RESTClient().Get().AbsPath("/").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var answer metav1.RootPaths
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Paths
}

// strangersAreRefused checks that the kubeconfig of cluster a opens nothing in
// cluster b, even if its address is mistaken for that of a.
func strangersAreRefused(t *testing.T, a, b string) {
	t.Helper()
	config := configOf(t, a)
	config.Host = configOf(t, b).Host
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	var unknown x509.UnknownAuthorityError
	if resp, err := client.Get(config.Host + "/version"); err == nil {
		resp.Body.Close()
		t.Errorf("the client of one cluster trusts the other: %d", resp.StatusCode)
	} else if !errors.As(err, &unknown) {
		t.Errorf("it is not its certificate that gives the other cluster away: %v", err)
	}
	// Nor does the server trust that client, should it trust the server.
	certs := filepath.Join(at(t, a).Local(), "pki")
	others := filepath.Join(at(t, b).Local(), "pki")
	pair, err := tls.LoadX509KeyPair(filepath.Join(certs, pki.Admin+".crt"), filepath.Join(certs, pki.Admin+".key"))
	if err != nil {
		t.Fatal(err)
	}
	if code, err := request(others, pki.CA, []tls.Certificate{pair}, local.LastPort(at(t, b)), "/api"); err == nil && code != 401 {
		t.Errorf("one cluster's administrator gets %d from the other", code)
	}
	// And etcd lets nobody in but its own API server.
	pair, err = tls.LoadX509KeyPair(filepath.Join(certs, pki.EtcdClient+".crt"), filepath.Join(certs, pki.EtcdClient+".key"))
	if err != nil {
		t.Fatal(err)
	}
	taken := map[int]bool{}
	for _, address := range listening(t, pidOf(t, a)) {
		taken[address.Port] = true
	}
	for _, address := range listening(t, pidOf(t, b)) {
		if taken[address.Port] {
			t.Errorf("both listen on port %d", address.Port)
		}
		if code, err := request(others, pki.EtcdCA, []tls.Certificate{pair}, address.Port, "/version"); err == nil {
			t.Errorf("one cluster's API server gets %d from port %d of the other", code, address.Port)
		}
	}
}

// getTLS returns the status of an HTTPS request to a local port. It trusts the
// named authority, and shows the named certificate, or none.
func getTLS(certs, authority, client string, port int, path string) (int, error) {
	var show []tls.Certificate
	if client != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(certs, client+".crt"), filepath.Join(certs, client+".key"))
		if err != nil {
			return 0, err
		}
		show = append(show, pair)
	}
	return request(certs, authority, show, port, path)
}

func request(certs, authority string, show []tls.Certificate, port int, path string) (int, error) {
	ca, err := os.ReadFile(filepath.Join(certs, authority+".crt"))
	if err != nil {
		return 0, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		// Certificates would keep back one that the server does not ask for;
		// a stranger would not.
		if len(show) == 0 {
			return &tls.Certificate{}, nil
		}
		return &show[0], nil
	}}}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 10 * time.Second}
	resp, err := client.Get("https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + path)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}
