// Package cluster finds the Kubernetes cluster that programs of this workspace write to, refuses
// clusters that the user has not named, makes and removes a namespace for one run, and explains
// errors in two lines: what failed, and what to do next.
package cluster

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"
)

// Cluster is a cluster that programs of this workspace may write to.
type Cluster struct {
	Config  *rest.Config // for clients: change a copy (rest.CopyConfig)
	Context string       // name of the kubeconfig context
	// Namespace is the one that the context names, or "".
	Namespace string
	Source    string // where the kubeconfig came from, for people
	Version   string // of the server, such as v1.37.2. Find leaves it empty
}

// Connect is [Find], and asks the server for its version.
func Connect(ctx context.Context, kubeconfig, contextName string) (*Cluster, error) {
	c, err := Find(kubeconfig, contextName)
	if err != nil {
		return nil, err
	}
	probe, err := c.NewNamespace("", "", nil)
	if err != nil {
		return nil, err
	}
	defer probe.Close()
	if c.Version, err = probe.ServerVersion(ctx); err != nil {
		return nil, fmt.Errorf("reach the cluster at %s: %w", c.Address(), err)
	}
	return c, nil
}

// Address is the server's address, without the password that it may hold.
func (c *Cluster) Address() string {
	u, err := url.Parse(c.Config.Host)
	if err != nil {
		return "an address that cannot be read" // it may hold a password
	}
	return u.Redacted()
}

// Kubectl is how a kubectl command begins that means this cluster.
func (c *Cluster) Kubectl() string {
	words := []string{"kubectl"}
	if c.Source != fromEnv && c.Source != "" {
		words = append(words, "--kubeconfig", c.Source)
	}
	if c.Context != "" {
		words = append(words, "--context", c.Context)
	}
	return strings.Join(words, " ")
}
