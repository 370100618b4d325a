package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"client-go-lessons/cluster/internal/kind"
)

// oldGo ends a start of the local provider early, in a way that can be told.
const oldGo = `echo go1.20`

// docker is a docker command that answers as the real one does in each plight.
func docker(info, inspect, pull string) string {
	return fmt.Sprintf(`case "$1" in
-v) echo "Docker version 28.2.2, build e6534b4" ;;
info) %s ;;
image) %s ;;
pull) %s ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac`, info, inspect, pull)
}

func TestKindPassedOver(t *testing.T) {
	fine := "exit 0"
	for name, c := range map[string]struct {
		scripts map[string]string
		why     string
		next    string
	}{
		"no engine": {
			why:  "no container engine is installed",
			next: "install Docker",
		},
		"permission denied": {
			scripts: map[string]string{"docker": docker(`echo "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock" >&2
				echo "errors pretty printing info" >&2; exit 1`, fine, fine)},
			why:  "docker is installed but this user may not use it",
			next: "usermod -aG docker",
		},
		"daemon down": {
			scripts: map[string]string{"docker": docker(`echo "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?" >&2
				echo "errors pretty printing info" >&2; exit 1`, fine, fine)},
			why:  "docker is installed but its daemon is not running",
			next: "start it",
		},
		"image cannot be pulled": {
			scripts: map[string]string{"docker": docker(fine, "exit 1", `echo "Error response from daemon: lookup registry-1.docker.io: no such host" >&2; exit 1`)},
			why:     "docker cannot pull example/node:v1: Error response from daemon: lookup registry-1.docker.io: no such host",
			next:    "KIND_NODE_IMAGE=NAME",
		},
		"podman under docker's name": {
			scripts: map[string]string{"docker": `echo "podman version 5.0.0"`},
			why:     "no container engine is installed",
			next:    "install Docker",
		},
	} {
		t.Run(name, func(t *testing.T) {
			scripts := map[string]string{"go": oldGo}
			for k, v := range c.scripts {
				scripts[k] = v
			}
			env := []string{"PATH=" + fakes(t, scripts)}
			dir := filepath.Join(t.TempDir(), "c")
			args := []string{"up", "--image", "example/node:v1"}

			r := cluster(t, dir, env, append(args, "--provider", "kind")...)
			r.want(t, 1, c.why, "next: ", c.next)
			// With auto it goes on to the local provider, as far as the old Go.
			r = cluster(t, dir, env, args...)
			r.want(t, 1, "provider     local; kind passed over: "+c.why, "go1.20")
			cluster(t, dir, env, "down").want(t, 0)
			cluster(t, dir, env, "provider", "--image", "example/node:v1").want(t, 0, "local\n", c.why)
		})
	}
}

// TestKindCannotCreate: an engine that answers and has the image, and yet cannot
// run the node. With auto that is no reason to end without a cluster.
func TestKindCannotCreate(t *testing.T) {
	const fake = `case "$*" in
-v | --version) echo "podman version 5.4.0" ;;
*CgroupsVersion*) echo v2 ;;
info*json*) echo '{"host": {"cgroupVersion": "v2", "cgroupControllers": ["cpu", "memory", "pids"], "security": {"rootless": true}}}' ;;
info | image* | inspect* | ps* | network* | volume* | "container rm"* | rm*) exit 0 ;;
run*) echo "time=now level=warning msg=something" >&2; echo "Error: OCI runtime error: crun: openat2 proc: No such file or directory" >&2; exit 126 ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac`
	const why = "kind cannot create its cluster here: Error: OCI runtime error: crun: openat2 proc: No such file or directory"
	env := []string{"PATH=" + fakes(t, map[string]string{"podman": fake, "go": oldGo})}
	dir := filepath.Join(t.TempDir(), "c")
	args := []string{"up", "--image", "example/node:v1"}

	r := cluster(t, dir, env, append(args, "--provider", "kind")...)
	r.want(t, 1, why+"\n", "next: ", "make up PROVIDER=local")
	cluster(t, dir, env, "status").want(t, 1, "none in")
	// With auto it goes on to the local provider, as far as the old Go.
	r = cluster(t, dir, env, args...)
	r.want(t, 1, "provider     local; kind passed over: "+why+"\n", "go1.20")
	cluster(t, dir, env, "down").want(t, 0)
}

func TestEngineThatCannotServe(t *testing.T) {
	for name, c := range map[string]struct{ docker, image, why, next string }{
		"on another machine": {
			`case "$*" in -v) echo "Docker version 28.2.2, build e6534b4" ;; info) ;; context*) echo tcp://192.0.2.7:2376 ;; *) exit 1 ;; esac`,
			"example/node:v1", "docker runs on another machine (tcp://192.0.2.7:2376)", "unset DOCKER_HOST",
		},
		"cgroup v1 and the pinned image": {
			`case "$*" in -v) echo "Docker version 20.10.24, build 297e128" ;; info) ;; *CgroupVersion*) echo 1 ;; *) exit 1 ;; esac`,
			kind.PinnedImage, "docker has cgroup v1, which the kubelet of kindest/node:v1.37", "use cgroup v2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{"PATH=" + fakes(t, map[string]string{"docker": c.docker, "go": oldGo})}
			dir := filepath.Join(t.TempDir(), "c")
			cluster(t, dir, env, "up", "--image", c.image, "--provider", "kind").want(t, 1, c.why, "next: "+c.next)
			cluster(t, dir, env, "up", "--image", c.image).want(t, 1, "provider     local; kind passed over: "+c.why, "go1.20")
		})
	}
}

func TestNoGoToCompileWith(t *testing.T) {
	for name, c := range map[string]struct {
		scripts map[string]string
		why     string
	}{
		"none":    {nil, "no go command on the PATH"},
		"too old": {map[string]string{"go": oldGo}, "is go1.20; the local control plane needs Go 1.26.0 or newer"},
		"told to stay old": {
			map[string]string{"go": `echo "go: go.mod requires go >= 1.26.0 (running go 1.24.1; GOTOOLCHAIN=local)" >&2; exit 1`},
			"go.mod requires go >= 1.26.0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{"PATH=" + fakes(t, c.scripts)}
			r := cluster(t, filepath.Join(t.TempDir(), "c"), env, "up", "--provider", "local")
			r.want(t, 1, c.why, "next: install Go 1.26.0 or newer", "PROVIDER=kind")
		})
	}
}

func TestSourceNotFound(t *testing.T) {
	dir := t.TempDir()
	r := cluster(t, dir, nil, "up", "--provider", "local", "--source", dir)
	r.want(t, 1, "is not the folder of module", "next: ")
	if _, err := os.Stat(filepath.Join(dir, "state.json")); err == nil {
		t.Error("a start that did not begin has been noted")
	}
}
