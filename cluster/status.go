package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"client-go-lessons/cluster/internal/api"
	"client-go-lessons/cluster/internal/engine"
	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/kind"
	"client-go-lessons/cluster/internal/local"
)

// A Status is what there is, as status -o json writes it. What is not known or
// does not apply is left out.
type Status struct {
	Running    bool     `json:"running"`
	Dir        string   `json:"dir"` // the state folder
	Provider   string   `json:"provider,omitempty"`
	Name       string   `json:"name,omitempty"`
	Context    string   `json:"context,omitempty"` // of the kubeconfig
	Kubeconfig string   `json:"kubeconfig,omitempty"`
	Server     string   `json:"server,omitempty"`  // the URL
	Version    string   `json:"version,omitempty"` // of Kubernetes
	PID        int      `json:"pid,omitempty"`     // local: the one process
	Engine     string   `json:"engine,omitempty"`  // kind: docker, podman or nerdctl
	Image      string   `json:"image,omitempty"`   // kind: of the node
	Nodes      []string `json:"nodes,omitempty"`   // kind: the containers
	Problem    string   `json:"problem,omitempty"` // why it does not run
}

// status tells what there is. It changes nothing and takes no lock.
func status(ctx context.Context, o *options) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	st, err := o.folder.State()
	if err != nil {
		return err
	}
	s := examine(ctx, o, st)
	if o.json {
		if err := writeJSON(o, s); err != nil {
			return err
		}
	} else {
		printStatus(o, s)
	}
	if !s.Running {
		return errNotRunning
	}
	return nil
}

func writeJSON(o *options, v any) error {
	enc := json.NewEncoder(o.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func printStatus(o *options, s *Status) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(o.out, "%-12s %s\n", label, fmt.Sprintf(format, args...))
	}
	if s.Provider == "" {
		line("cluster", "none in %s", s.Dir)
		line("next", "make up")
		return
	}
	line("cluster", "%s", s.Context)
	switch {
	case s.Provider == folder.Kind:
		line("provider", "kind in %s, %s", s.Engine, kind.Short(s.Image))
	case s.PID != 0:
		line("provider", "local, one process (%d)", s.PID)
	default:
		line("provider", "local")
	}
	if s.Server != "" {
		line("server", "%s", s.Server)
	}
	if s.Running {
		line("kubernetes", "%s", cmp.Or(s.Version, "of a version that it does not tell"))
		line("kubeconfig", "%s", s.Kubeconfig)
		line("state", "running")
		return
	}
	line("state", "not running: %s", s.Problem)
	if s.Provider == folder.Local {
		if tail := local.LogTail(o.folder, 5); tail != "" {
			line("log", "%s ends with\n%s", o.folder.Logs(), tail)
		}
	}
	line("next", "make up starts it again, make down removes it")
}

// examine finds out how the cluster is that the folder notes, if it notes one.
func examine(ctx context.Context, o *options, st *folder.State) *Status {
	s := &Status{Dir: o.folder.Dir}
	if st == nil {
		s.Problem = "there is none"
		return s
	}
	s.Provider, s.Name, s.Context, s.Engine, s.Image = st.Provider, st.Name, st.Context(), st.Engine, st.Image
	s.Kubeconfig = o.folder.Kubeconfig()
	if st.Provider == folder.Local {
		examineLocal(o, st, s)
	} else {
		examineKind(ctx, st, s)
	}
	c, err := api.Open(s.Kubeconfig)
	if err != nil {
		s.Problem = cmp.Or(s.Problem, "its start has not come to an end")
		return s
	}
	defer c.Close()
	s.Server = c.Server
	if s.Problem != "" {
		return s
	}
	ready, failing, err := c.Ready(ctx)
	switch {
	case err != nil:
		s.Problem = fmt.Sprintf("the API server does not answer: %v", err)
	case !ready:
		s.Problem = "the API server is not ready: " + strings.Join(failing, ", ")
	default:
		s.Running = true
		s.Version, _ = c.Version(ctx) // it is ready; what it calls itself matters less
	}
	return s
}

func examineLocal(o *options, st *folder.State, s *Status) {
	var err error
	s.PID, err = local.Running(o.folder)
	switch {
	case err != nil:
		s.Problem = err.Error()
	case s.PID == 0 && st.Ready:
		s.Problem = "its process has died"
	case s.PID == 0:
		s.Problem = "its start was interrupted"
	}
}

func examineKind(ctx context.Context, st *folder.State, s *Status) {
	e, err := engine.Named(ctx, st.Engine)
	if err == nil {
		s.Nodes, err = kind.New(e, st.Name, true).Nodes()
	}
	switch {
	case err != nil:
		s.Problem = err.Error()
	case len(s.Nodes) == 0:
		s.Problem = "its container is gone"
	}
	for _, n := range s.Nodes {
		if !e.Running(ctx, n) {
			s.Problem = "container " + n + " is stopped"
		}
	}
}
