package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"client-go-lessons/cluster/internal/engine"
)

// needsKind skips the test unless there is an engine with the node image that
// was asked for. It returns the engine's name.
func needsKind(t *testing.T) string {
	t.Helper()
	image := os.Getenv("KIND_NODE_IMAGE")
	if testing.Short() || image == "" {
		t.Skip("needs KIND_NODE_IMAGE")
	}
	e, err := engine.Detect(context.Background())
	if err != nil {
		t.Skip(err)
	}
	if !e.HasImage(context.Background(), image) {
		t.Skipf("%s has no image %s", e.Name, image)
	}
	return e.Name
}

// containers returns the names of the containers of the folder's cluster.
func containers(t *testing.T, engine, dir string) []string {
	t.Helper()
	out, err := exec.Command(engine, "ps", "-a", "--format", "{{.Names}}",
		"--filter", "label=io.x-k8s.kind.cluster="+at(t, dir).DefaultName()).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

func TestKindLife(t *testing.T) {
	engine := needsKind(t)
	dir := filepath.Join(t.TempDir(), "c")
	home := t.TempDir()
	env := []string{"HOME=" + home, "KUBECONFIG=" + filepath.Join(home, "other")}
	t.Cleanup(func() { cluster(t, dir, nil, "down") })

	cluster(t, dir, env, "up").want(t, 0, "provider     kind: "+engine+" answers", "kind-client-go-lessons-", "Kubernetes v")
	if files, err := os.ReadDir(home); err != nil || len(files) > 0 {
		t.Errorf("something was written outside of the state folder: %v %v", files, err)
	}
	cluster(t, dir, env, "up").want(t, 0, "up already")
	cluster(t, dir, env, "up", "--provider", "local").want(t, 1, "is kind, not local")
	cluster(t, dir, env, "up", "--image", "other:v1").want(t, 1, "not other:v1", "make down")
	cluster(t, dir, env, "status").want(t, 0, "kind in "+engine, "running")
	if s := statusOf(t, dir); !s.Running || s.Engine != engine || s.Image != os.Getenv("KIND_NODE_IMAGE") || !slices.Equal(s.Nodes, containers(t, engine, dir)) {
		t.Errorf("status -o json: %+v", s)
	}
	client := connectTo(t, dir)
	if v, err := client.Discovery().ServerVersion(); err != nil || !strings.HasPrefix(v.GitVersion, "v1.") {
		t.Errorf("%v %v", v, err)
	}

	// The folder deleted by hand, the container is found again by its name.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	cluster(t, dir, env, "up").want(t, 0, "made for this folder before", "up already")

	node := containers(t, engine, dir)
	if len(node) != 1 {
		t.Fatalf("containers: %v", node)
	}
	if out, err := exec.Command(engine, "kill", node[0]).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	cluster(t, dir, env, "status").want(t, 1, "container "+node[0]+" is stopped", "make up starts it again")
	cluster(t, dir, env, "up").want(t, 0, "up already")

	cluster(t, dir, env, "down").want(t, 0, "kind cluster", "removed")
	if left := containers(t, engine, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is left", dir)
	}
	cluster(t, dir, env, "down").want(t, 0, "no cluster here")
}

func TestInterruptedKindLeavesNoContainer(t *testing.T) {
	engine := needsKind(t)
	dir := filepath.Join(t.TempDir(), "c")
	t.Cleanup(func() { cluster(t, dir, nil, "down") })
	up := command(t, dir, nil, "up", "--provider", "kind")
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a container appears", func() bool { return len(containers(t, engine, dir)) > 0 })
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = up.Wait()
	if code := up.ProcessState.ExitCode(); code != 130 {
		t.Errorf("want exit code 130, got %d", code)
	}
	if left := containers(t, engine, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	cluster(t, dir, nil, "status").want(t, 1, "none in")
}

func TestFailedKindLeavesNoContainer(t *testing.T) {
	engine := needsKind(t)
	dir := filepath.Join(t.TempDir(), "c")
	t.Cleanup(func() { cluster(t, dir, nil, "down") })
	// An image that is there but is no node's: kind starts it and gives up.
	broken := "client-go-lessons-test/no-node:v1"
	build := exec.Command(engine, "build", "-q", "-t", broken, "-")
	build.Stdin = strings.NewReader("FROM " + os.Getenv("KIND_NODE_IMAGE") + "\nENTRYPOINT [\"/bin/false\"]\n")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("cannot build an image here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command(engine, "rmi", "-f", broken).Run() })
	cluster(t, dir, nil, "up", "--provider", "kind", "--image", broken).want(t, 1, "kind cannot create its cluster here", "next: ")
	if left := containers(t, engine, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	cluster(t, dir, nil, "status").want(t, 1, "none in")
}
