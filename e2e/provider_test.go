package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/envfuncs"
	"sigs.k8s.io/e2e-framework/support"
	"sigs.k8s.io/e2e-framework/third_party/kind"
)

// provider is a way to get a cluster, and the commands that remove it.
type provider struct {
	name   string
	engine string // kind's: docker, podman or nerdctl
	create env.Func
	remove [][]string
}

var (
	clusterName string
	cluster     support.E2EClusterProvider
	failed      atomic.Bool // some test failed
)

// chooseProvider reads E2E_CLUSTER: auto (what `make up` would take), kind, local or existing.
func chooseProvider() (provider, error) {
	want := os.Getenv("E2E_CLUSTER")
	if want == "existing" {
		return provider{name: want, create: useExisting}, nil
	}
	if want == "" {
		want = "auto"
	}
	if want != "auto" && want != "kind" && want != "local" {
		return provider{}, fmt.Errorf("E2E_CLUSTER=%s: use auto, kind, local or existing", want)
	}
	tool, err := buildTool("cluster", ".")
	if err != nil {
		return provider{}, err
	}
	choose := exec.Command(tool, "provider", "-o", "json", "--provider", want)
	choose.Stderr = os.Stderr
	out, err := choose.Output()
	if err != nil {
		return provider{}, fmt.Errorf("%v: %w", choose, err)
	}
	var chosen struct{ Provider, Engine string }
	if err := json.Unmarshal(out, &chosen); err != nil {
		return provider{}, fmt.Errorf("%v: %w", choose, err)
	}
	clusterName = "client-go-lessons-e2e-" + rand.String(5)
	switch chosen.Provider {
	case "kind":
		kindTool, err := buildTool("kind", "sigs.k8s.io/kind") // as the cluster's module pins it
		if err != nil {
			return provider{}, err
		}
		opts := []support.ClusterOpts{kind.WithPath(kindTool)}
		image := os.Getenv("KIND_NODE_IMAGE")
		if image != "" {
			opts = append(opts, kind.WithImage(image))
		}
		// kind and e2e-framework write to the default kubeconfig unless they are told another.
		if err := os.Setenv("KUBECONFIG", filepath.Join(lab.dir, "kind.kubeconfig")); err != nil {
			return provider{}, err
		}
		cluster = kind.NewProvider()
		return provider{
			name:   chosen.Provider,
			engine: chosen.Engine,
			create: announce("kind", envfuncs.CreateClusterWithOpts(cluster, clusterName, opts...)),
			remove: [][]string{{kindTool, "delete", "cluster", "--name", clusterName}},
		}, nil
	default:
		local := &localCluster{tool: tool, dir: filepath.Join(lab.dir, "cluster")}
		cluster = local
		return provider{
			name:   chosen.Provider,
			create: envfuncs.CreateCluster(local, clusterName),
			remove: [][]string{{tool, "down", "--dir", local.dir}},
		}, nil
	}
}

func announce(what string, create env.Func) env.Func {
	return func(ctx context.Context, cfg *envconf.Config) (context.Context, error) {
		fmt.Fprintf(os.Stderr, "e2e: creating a %s cluster, %s\n", what, clusterName)
		return create(ctx, cfg)
	}
}

// useExisting takes the cluster of $KUBECONFIG, or of this workspace. Tests write to it, so it must
// be on this machine: the observer would hide from the lessons that it is not.
func useExisting(ctx context.Context, cfg *envconf.Config) (context.Context, error) {
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		path = filepath.Join("..", ".cluster", "kubeconfig")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return ctx, fmt.Errorf("E2E_CLUSTER=existing: %w; start a cluster with: make up", err)
	}
	u, err := url.Parse(config.Host)
	if err != nil {
		return ctx, err
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && !ip.IsLoopback() {
		return ctx, fmt.Errorf("E2E_CLUSTER=existing: %s is not on this machine", config.Host)
	}
	cfg.WithKubeconfigFile(path)
	return ctx, nil
}

// localCluster is the control plane of `cluster up --provider local`, for e2e-framework.
type localCluster struct{ tool, dir, name string }

var _ support.E2EClusterProvider = &localCluster{}

func (l *localCluster) kubeconfig() string { return filepath.Join(l.dir, "kubeconfig") }

func (l *localCluster) Create(ctx context.Context, _ ...string) (string, error) {
	up := exec.CommandContext(ctx, l.tool, "up", "--provider", "local", "--dir", l.dir, "--name", l.name)
	up.Stderr = os.Stderr // its progress; what to do next is for people
	if err := up.Run(); err != nil {
		return "", fmt.Errorf("%v: %w", up, err)
	}
	return l.kubeconfig(), nil
}

func (l *localCluster) CreateWithConfig(ctx context.Context, _ string) (string, error) {
	return l.Create(ctx)
}

func (l *localCluster) Destroy(ctx context.Context) error {
	return exec.CommandContext(ctx, l.tool, "down", "--dir", l.dir).Run()
}

func (l *localCluster) ExportLogs(_ context.Context, dest string) error {
	return os.CopyFS(dest, os.DirFS(filepath.Join(l.dir, "logs")))
}

func (l *localCluster) WithName(name string) support.E2EClusterProvider { l.name = name; return l }
func (l *localCluster) WithPath(string) support.E2EClusterProvider      { return l }
func (l *localCluster) WithVersion(string) support.E2EClusterProvider   { return l }
func (l *localCluster) SetDefaults() support.E2EClusterProvider         { return l }
func (l *localCluster) WithOpts(opts ...support.ClusterOpts) support.E2EClusterProvider {
	for _, o := range opts {
		o(l)
	}
	return l
}

func (l *localCluster) GenerateKubeconfig(...string) (string, error) { return l.kubeconfig(), nil }

func (l *localCluster) GetKubeconfig() string { return l.kubeconfig() }

// WaitForControlPlane has nothing to wait for: `cluster up` did.
func (l *localCluster) WaitForControlPlane(context.Context, klient.Client) error { return nil }
func (l *localCluster) GetKubectlContext() string                                { return "local-" + l.name }
func (l *localCluster) KubernetesRestConfig() *rest.Config {
	config, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig())
	if err != nil {
		return nil
	}
	return config
}

// buildTool builds a program from the cluster's module into the workspace's bin.
func buildTool(name, pkg string) (path string, err error) {
	if path, err = filepath.Abs(filepath.Join("..", "bin", name)); err != nil {
		return "", err
	}
	return path, goBuild("../cluster", "-o", path, pkg)
}

func goBuild(dir string, args ...string) error {
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("in %s: %v: %w\n%s", dir, cmd, err, out.String())
	}
	return nil
}

// logs is where a failed run leaves what helps to understand it.
func logs() string {
	dir := filepath.Join("..", "logs", "e2e")
	_ = os.MkdirAll(dir, 0o755)
	return dir
}

func exportLogs(ctx context.Context) error {
	if cluster == nil {
		return nil
	}
	dest := filepath.Join(logs(), clusterName)
	fmt.Fprintln(os.Stderr, "e2e: the cluster's logs are in", dest)
	return cluster.ExportLogs(ctx, dest)
}

// noteFailure makes a failed test known to the end of the run, and a running one to showProgress.
func noteFailure(t *testing.T) {
	noteBegun(t.Name())
	t.Cleanup(func() {
		if t.Failed() {
			failed.Store(true)
		}
	})
}
