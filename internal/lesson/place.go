package lesson

import (
	"context"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

// Cluster is a cluster that the programs of this workspace which are no lessons, exercises and
// bench, may write to.
type Cluster struct {
	Config  *rest.Config
	Context string // name of the kubeconfig context
	Source  string // where the kubeconfig came from, for people
	Version string // the server's, such as v1.37.1
}

// Connect finds the cluster for a program that is not a lesson, in the same places and with the
// same refusals: one that is not on this machine must be named by its context.
func Connect(ctx context.Context, kubeconfig, contextName string) (*Cluster, error) {
	conn, err := connect(options{kubeconfig: kubeconfig, context: contextName})
	if err != nil {
		return nil, err
	}
	c := &Cluster{Config: conn.config, Context: conn.context, Source: conn.source}
	probe := &scratch{}
	if err := probe.dial(c.Config); err != nil {
		return nil, err
	}
	defer probe.hangUp()
	if c.Version, err = probe.version(ctx); err != nil {
		return nil, fmt.Errorf("reach the cluster at %s: %w", c.Config.Host, err)
	}
	return c, nil
}

// Scratch makes a namespace for one run of the named program, with these ConfigMaps in it. It is
// found and swept as those of lessons are. Call remove in any case: it deletes what was made, also
// when Scratch failed.
func Scratch(ctx context.Context, cfg *rest.Config, kind, name string, cms []*corev1.ConfigMap,
) (namespace string, remove func() error, err error) {
	s := &scratch{
		lesson: Lesson{Name: kind + "-" + name, ConfigMaps: cms},
		prefix: kind + "-" + number(Lesson{Name: name}),
	}
	if err := s.dial(cfg); err != nil {
		return "", func() error { return nil }, err
	}
	remove = func() error {
		defer s.hangUp()
		_, err := s.remove()
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, preparation)
	defer cancel()
	err = s.make(ctx)
	return s.name, remove, err
}

// Explain turns an error into one or two lines: what failed, and what to do next.
func Explain(err error) string { return explain(err) }

// HasColor tells whether color is welcome on w.
func HasColor(w io.Writer) bool { return hasColor(w) }
