// Package kind runs a cluster in containers by way of the kind library. It
// writes to the kubeconfig it is given and to no other.
package kind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/defaults"
	"sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cmd"
	"sigs.k8s.io/kind/pkg/log"

	"client-go-lessons/cluster/internal/engine"
	"client-go-lessons/cluster/internal/hint"
)

// readyTimeout is how long the node may take to become Ready. A node that takes
// longer may still serve.
const readyTimeout = time.Minute

// PinnedImage is the node image that this version of kind was released with.
const PinnedImage = defaults.Image

// DefaultImage is the node image of $KIND_NODE_IMAGE, or the pinned one.
func DefaultImage() string {
	return cmp.Or(os.Getenv("KIND_NODE_IMAGE"), PinnedImage)
}

// Short is an image's name without the digest that pins it, for people.
func Short(image string) string {
	name, _, _ := strings.Cut(image, "@")
	return name
}

// Cluster is a kind cluster, which need not exist.
type Cluster struct {
	engine   *engine.Engine
	name     string
	provider *cluster.Provider
}

// New returns the cluster of that name in the engine. If quiet, kind's own
// progress is not shown.
func New(e *engine.Engine, name string, quiet bool) *Cluster {
	var logger log.Logger = log.NoopLogger{}
	if !quiet {
		logger = cmd.NewLogger()
	}
	runtime := cluster.ProviderWithDocker()
	switch e.Name {
	case "podman":
		runtime = cluster.ProviderWithPodman()
	case "nerdctl":
		runtime = cluster.ProviderWithNerdctl(e.Name)
	}
	return &Cluster{engine: e, name: name, provider: cluster.NewProvider(runtime, cluster.ProviderWithLogger(logger))}
}

// Create creates the cluster. When it fails or ctx ends no container is left.
func (c *Cluster) Create(ctx context.Context, image, kubeconfig string) error {
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = c.provider.Create(c.name,
			cluster.CreateWithNodeImage(image),
			cluster.CreateWithKubeconfigPath(kubeconfig),
			cluster.CreateWithWaitForReady(readyTimeout),
			cluster.CreateWithDisplayUsage(false),
			cluster.CreateWithDisplaySalutation(false),
		)
	}()
	select {
	case <-done:
		if err == nil {
			return nil
		}
		// What cannot be removed is the worse news.
		if rest := c.Delete(kubeconfig); rest != nil {
			return rest
		}
		return err
	case <-ctx.Done():
	}
	// The library cannot be interrupted. Without its containers it soon gives
	// up; and only when it has, can none come after the last removal.
	for {
		_ = c.provider.Delete(c.name, kubeconfig)
		select {
		case <-done:
			return errors.Join(context.Cause(ctx), c.Delete(kubeconfig))
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// Delete removes the cluster, if it is there, and makes sure that it is gone.
func (c *Cluster) Delete(kubeconfig string) error {
	err := c.provider.Delete(c.name, kubeconfig)
	nodes, lerr := c.Nodes()
	if err = errors.Join(err, lerr); err == nil && len(nodes) > 0 {
		err = fmt.Errorf("containers are left: %s", strings.Join(nodes, ", "))
	}
	if err != nil {
		return hint.New(fmt.Sprintf("remove it by hand: %s rm -f $(%s ps -aq --filter label=io.x-k8s.kind.cluster=%s)",
			c.engine.Name, c.engine.Name, c.name), "remove kind cluster %s: %w", c.name, &LeftError{describe(err)})
	}
	return nil
}

// LeftError says that something of a cluster may be left.
type LeftError struct{ err error }

func (e *LeftError) Error() string { return e.err.Error() }
func (e *LeftError) Unwrap() error { return e.err }

// Nodes returns the names of the cluster's containers.
func (c *Cluster) Nodes() ([]string, error) {
	nodes, err := c.provider.ListNodes(c.name)
	var names []string
	for _, n := range nodes {
		names = append(names, n.String())
	}
	return names, err
}

// Start starts those of the cluster's containers that were stopped.
func (c *Cluster) Start(ctx context.Context, nodes []string) error {
	for _, n := range nodes {
		if c.engine.Running(ctx, n) {
			continue
		}
		if err := c.engine.Start(ctx, n); err != nil {
			return hint.New("make a new one: make down up", "start container %s: %w", n, err)
		}
	}
	return nil
}

// Export writes the kubeconfig of a cluster that is there.
func (c *Cluster) Export(kubeconfig string) error {
	return c.provider.ExportKubeConfig(c.name, kubeconfig, false)
}
