package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"client-go-lessons/cluster/internal/api"
	"client-go-lessons/cluster/internal/engine"
	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/kind"
	"client-go-lessons/cluster/internal/local"
)

// status tells what there is. It changes nothing and takes no lock.
func status(ctx context.Context, o *options) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	st, err := o.folder.State()
	if err != nil {
		return err
	}
	line := func(label, format string, args ...any) {
		fmt.Fprintf(o.out, "%-12s %s\n", label, fmt.Sprintf(format, args...))
	}
	if st == nil {
		line("cluster", "none in %s", o.folder.Dir)
		line("next", "make up")
		return errNotRunning
	}
	line("cluster", "%s", st.Context())
	line("provider", "%s", describe(o, st))
	c, problem := connect(ctx, o, st)
	if c != nil {
		defer c.Close()
		line("server", "%s", c.Server)
	}
	if problem == "" {
		version, err := c.Version(ctx)
		if err != nil {
			version = err.Error()
		}
		line("kubernetes", "%s", version)
		line("kubeconfig", "%s", o.folder.Kubeconfig())
		line("state", "running")
		return nil
	}
	line("state", "not running: %s", problem)
	if st.Provider == folder.Local {
		if tail := local.LogTail(o.folder, 5); tail != "" {
			line("log", "%s ends with\n%s", o.folder.Logs(), tail)
		}
	}
	line("next", "cluster up starts it again, cluster down removes it")
	return errNotRunning
}

func describe(o *options, st *folder.State) string {
	if st.Provider == folder.Kind {
		return fmt.Sprintf("kind in %s, %s", st.Engine, kind.Short(st.Image))
	}
	if pid, err := local.Running(o.folder); err == nil && pid != 0 {
		return fmt.Sprintf("local, one process (%d)", pid)
	}
	return "local"
}

// connect returns a client, and what is wrong with the cluster if anything is.
func connect(ctx context.Context, o *options, st *folder.State) (*api.Client, string) {
	c, err := api.Open(o.folder.Kubeconfig())
	if reason := missing(ctx, o, st); reason != "" {
		return c, reason
	}
	if err != nil {
		return nil, "its start has not come to an end"
	}
	ready, failing, err := c.Ready(ctx)
	switch {
	case err != nil:
		return c, fmt.Sprintf("the API server does not answer: %v", err)
	case !ready:
		return c, "the API server is not ready: " + strings.Join(failing, ", ")
	}
	return c, ""
}

// missing tells which part of the cluster is not there.
func missing(ctx context.Context, o *options, st *folder.State) string {
	if st.Provider == folder.Local {
		pid, err := local.Running(o.folder)
		switch {
		case err != nil:
			return err.Error()
		case pid == 0 && st.Ready:
			return "its process has died"
		case pid == 0:
			return "its start was interrupted"
		}
		return ""
	}
	e, err := engine.Named(ctx, st.Engine)
	if err != nil {
		return err.Error()
	}
	nodes, err := kind.New(e, st.Name, true).Nodes()
	if err != nil {
		return err.Error()
	}
	if len(nodes) == 0 {
		return "its container is gone"
	}
	for _, n := range nodes {
		if !e.Running(ctx, n) {
			return "container " + n + " is stopped"
		}
	}
	return ""
}
