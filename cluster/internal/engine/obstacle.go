package engine

import (
	"context"
	"net"
	"net/url"
	"strings"

	"client-go-lessons/cluster/internal/hint"
)

// Remote returns an error if the engine runs its containers on another machine:
// their ports are opened there, on its loopback interface.
func (e *Engine) Remote(ctx context.Context) error {
	if e.Name != "docker" {
		return nil
	}
	// Of the current context, or $DOCKER_HOST. An engine that does not tell is
	// most likely here.
	out, _ := run(ctx, e.Name, "context", "inspect", "-f", "{{.Endpoints.docker.Host}}")
	host := strings.TrimSpace(out)
	if !elsewhere(host) {
		return nil
	}
	return hint.New("unset DOCKER_HOST, or docker context use default, or: make up PROVIDER=local",
		"docker runs on another machine (%s), where this one cannot reach a kind cluster", host)
}

// elsewhere tells whether a Docker endpoint is on another machine.
func elsewhere(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.Hostname() == "localhost" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip == nil || !ip.IsLoopback()
}

// OldCgroup tells whether the engine has cgroup v1, with which the kubelet of
// Kubernetes 1.35 and later does not start unless told to.
func (e *Engine) OldCgroup(ctx context.Context) bool {
	field := "{{.CgroupVersion}}"
	if e.Name == "podman" {
		field = "{{.Host.CgroupsVersion}}"
	}
	out, err := run(ctx, e.Name, "info", "-f", field)
	return err == nil && strings.TrimPrefix(strings.TrimSpace(out), "v") == "1"
}
