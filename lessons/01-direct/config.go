package main

import (
	"context"
	"errors"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"client-go-lessons/internal/lesson"
)

// findConfig finds the cluster as kubectl does: in the files of $KUBECONFIG, else in
// ~/.kube/config. Where there is no such file and the program runs in a Pod, it takes the Pod's
// service account.
func findConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	overrides := &clientcmd.ConfigOverrides{} // for example another context
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
}

// whereFrom looks for a config in both ways. Lessons look in more places, so this run has one even
// if findConfig finds none: .cluster/kubeconfig, where `make up` writes it, and -kubeconfig.
func (d *direct) whereFrom(_ context.Context, run *lesson.Run) error {
	run.Table(
		[]any{"made by", "reads", "for"},
		[]any{"clientcmd", "$KUBECONFIG, else ~/.kube/config", "what people start"},
		[]any{"rest.InClusterConfig", "the Pod's service account", "what runs in a Pod"},
	)
	cfg, err := findConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		run.Say("clientcmd finds here: no kubeconfig")
	case err != nil:
		run.Say("clientcmd finds here: a kubeconfig that does not work")
	default:
		run.Say("clientcmd finds here: %s", address(cfg))
	}
	_, err = rest.InClusterConfig()
	switch {
	case errors.Is(err, rest.ErrNotInCluster):
		run.Say("rest.InClusterConfig finds here: no Pod (rest.ErrNotInCluster)")
	case err != nil:
		run.Say("rest.InClusterConfig finds here: a Pod whose service account cannot be read")
	default:
		run.Say("rest.InClusterConfig finds here: a Pod")
	}
	run.Wire(d.wire.Lap())
	run.Say("A config, and a clientset made from it, send nothing. The first read does.")
	return nil
}

// address is the server's, without what may be secret in it.
func address(cfg *rest.Config) string {
	u, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return "a server"
	}
	return u.Host
}
