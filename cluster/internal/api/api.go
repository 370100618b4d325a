// Package api asks an API server the few things that bringing one up takes. It
// needs no client library, which keeps the cluster command quick to build.
package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Client talks to the cluster of a kubeconfig as its user.
type Client struct {
	Server string
	http   *http.Client
}

// kubeconfig is the part of a kubeconfig that kind and the local control plane
// fill in.
type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server string `yaml:"server"`
			CA     string `yaml:"certificate-authority-data"`
		} `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		User struct {
			Cert string `yaml:"client-certificate-data"`
			Key  string `yaml:"client-key-data"`
		} `yaml:"user"`
	} `yaml:"users"`
}

// Open reads a kubeconfig with one cluster and one user in it.
func Open(path string) (*Client, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func parse(data []byte) (*Client, error) {
	var k kubeconfig
	if err := yaml.Unmarshal(data, &k); err != nil {
		return nil, err
	}
	if len(k.Clusters) != 1 || len(k.Users) != 1 {
		return nil, errors.New("not a kubeconfig with one cluster and one user")
	}
	decode := func(s string) []byte {
		out, derr := base64.StdEncoding.DecodeString(s)
		if derr != nil {
			return nil
		}
		return out
	}
	cluster, user := k.Clusters[0].Cluster, k.Users[0].User
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(decode(cluster.CA)) {
		return nil, errors.New("no usable certificate-authority-data")
	}
	// The error of X509KeyPair says nothing of the key's content.
	pair, err := tls.X509KeyPair(decode(user.Cert), decode(user.Key))
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		// The server is on this machine, whatever proxies lead out of it.
		Proxy:             nil,
		ForceAttemptHTTP2: true,
	}
	return &Client{Server: cluster.Server, http: &http.Client{Transport: transport, Timeout: 5 * time.Second}}, nil
}

// Close gives back the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ready asks whether the server is ready to work. If it is not, failing names
// the checks that it waits for; an error means that it gave no answer at all.
func (c *Client) Ready(ctx context.Context) (ready bool, failing []string, err error) {
	code, body, err := c.get(ctx, "/readyz?verbose")
	if err != nil {
		return false, nil, err
	}
	if code == http.StatusOK {
		return true, nil, nil
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ := strings.Cut(rest, " ")
			failing = append(failing, strings.TrimPrefix(name, "poststarthook/"))
		}
	}
	if code == http.StatusForbidden {
		// Nobody may do anything until the server has stored its roles.
		return false, []string{"the roles of RBAC"}, nil
	}
	if len(failing) == 0 {
		failing = []string{fmt.Sprintf("the answer to /readyz, now %d", code)}
	}
	return false, failing, nil
}

// Version returns the server's Kubernetes version.
func (c *Client) Version(ctx context.Context) (string, error) {
	code, body, err := c.get(ctx, "/version")
	if err != nil {
		return "", err
	}
	var v struct{ GitVersion string }
	if err := json.Unmarshal(body, &v); err != nil || code != http.StatusOK || v.GitVersion == "" {
		return "", fmt.Errorf("%s/version answers %d %s", c.Server, code, bytes.TrimSpace(body))
	}
	return v.GitVersion, nil
}

// HasRootCA tells whether the namespace default has got its ConfigMap
// kube-root-ca.crt, which is when the controllers are at work and the user may
// read.
func (c *Client) HasRootCA(ctx context.Context) bool {
	code, _, err := c.get(ctx, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
	return err == nil && code == http.StatusOK
}

func (c *Client) get(ctx context.Context, path string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server+path, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, body, err
}
