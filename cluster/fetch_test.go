package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFetch gets the node image where an engine answers, tells what is here, and
// starts nothing. The compiled control plane is told of in TestFetchedControlPlane.
func TestFetch(t *testing.T) {
	const (
		here   = `echo 689000000`
		absent = `exit 1`
		fine   = `exit 0`
		broken = `echo "no such host" >&2; exit 1`
	)
	image := []string{"--image", "example/node:v1"}
	kind := append([]string{"--provider", "kind"}, image...)
	for name, c := range map[string]struct {
		docker string
		args   []string
		code   int
		says   []string
	}{
		"the image is here": {docker(fine, here, broken), append([]string{"fetch"}, kind...), 0,
			[]string{"node image     example/node:v1, in docker, 689 MB"}},
		"it cannot be pulled": {docker(fine, absent, broken), append([]string{"fetch"}, kind...), 1,
			[]string{"docker cannot pull example/node:v1", "next: "}},
		"it is not here": {docker(fine, absent, fine), append([]string{"fetched"}, kind...), 1,
			[]string{"node image     not here: docker has no example/node:v1"}},
		"there is no engine": {docker(`echo "permission denied" >&2; exit 1`, fine, fine), append([]string{"fetched"}, kind...), 1,
			[]string{"node image     not here: docker is installed but this user may not use it"}},
		"neither is here": {docker(fine, absent, fine), append([]string{"fetched"}, image...), 1,
			[]string{"control plane  not here: ", "node image     not here: "}},
		"the image is enough": {docker(fine, here, broken), append([]string{"fetched"}, image...), 0,
			[]string{"control plane  not here: ", "node image     example/node:v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, source := emptyWorkspace(t)
			env := []string{"CLUSTER_SOURCE=" + source, "PATH=" + fakes(t, map[string]string{"docker": c.docker, "go": oldGo})}
			dir := filepath.Join(t.TempDir(), "c")
			cluster(t, dir, env, c.args...).want(t, c.code, c.says...)
			if _, err := os.Stat(dir); err == nil {
				t.Error("a state folder was made")
			}
		})
	}
}

// emptyWorkspace is one in which nothing has been compiled, nor can be.
func emptyWorkspace(t *testing.T) (workspace, source string) {
	t.Helper()
	workspace = t.TempDir()
	source = filepath.Join(workspace, "cluster")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte("module client-go-lessons/cluster\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return workspace, source
}

func TestFetchPulls(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "pulled")
	fake := docker("exit 0", `read -r _ <`+mark, `echo yes >`+mark) // the image is there once pulled
	env := []string{"PATH=" + fakes(t, map[string]string{"docker": fake})}
	dir := filepath.Join(t.TempDir(), "c")
	cluster(t, dir, env, "fetch", "--provider", "kind", "--image", "example/node:v1").
		want(t, 0, "pulling      example/node:v1", "node image     example/node:v1, in docker")
}

// TestFetchedControlPlane: a binary that is not in the workspace's bin is not here, and looking for
// it does not compile it.
func TestFetchedControlPlane(t *testing.T) {
	workspace, source := emptyWorkspace(t)
	dir := filepath.Join(t.TempDir(), "c")
	cluster(t, dir, nil, "fetched", "--provider", "local", "--source", source).want(t, 1, "control plane  not here: ", "yet to be compiled")
	if found, _ := filepath.Glob(filepath.Join(workspace, "bin", "*")); len(found) > 0 {
		t.Errorf("it was compiled: %v", found)
	}
	needsControlPlane(t)
	cluster(t, dir, nil, "fetched", "--provider", "local").want(t, 0, "control plane  Kubernetes v1.", ", compiled, ")
}
