package lesson

import (
	"context"
	"fmt"

	"k8s.io/client-go/rest"
)

// Cluster is what a program that is no lesson, such as bench, gets of a lesson's manners: the same
// choice of a kubeconfig, the same refusal of remote clusters, the same scratch namespaces.
type Cluster struct {
	Config  *rest.Config
	Context string // the kubeconfig context in use
	Source  string // where the kubeconfig came from, for people
	Version string // the server's, such as v1.37.1
}

// Connect finds the cluster as a lesson does. Both arguments may be "".
func Connect(ctx context.Context, kubeconfig, context string) (*Cluster, error) {
	conn, err := connect(options{kubeconfig: kubeconfig, context: context})
	if err != nil {
		return nil, err
	}
	c := &Cluster{Config: conn.config, Context: conn.context, Source: conn.source}
	s := &scratch{}
	if err := s.dial(conn.config); err != nil {
		return nil, err
	}
	defer s.hangUp()
	if c.Version, err = s.version(ctx); err != nil {
		return nil, fmt.Errorf("reach the cluster at %s: %w", conn.config.Host, err)
	}
	return c, nil
}

// Scratch makes a namespace that remove deletes. One that stays behind is removed by the next
// lesson, as a lesson's own would be.
func (c *Cluster) Scratch(ctx context.Context, purpose string) (ns string, remove func() error, err error) {
	s := &scratch{lesson: Lesson{Name: purpose}}
	if err := s.dial(c.Config); err != nil {
		return "", nil, err
	}
	remove = func() error {
		defer s.hangUp()
		return s.remove()
	}
	if err := s.make(ctx); err != nil {
		_ = remove()
		return "", nil, err
	}
	return s.name, remove, nil
}

// Explain turns an error into one or two lines: what failed, and what to do next.
func Explain(err error) string { return explain(err) }
