package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"client-go-lessons/cluster/internal/engine"
	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/hint"
	"client-go-lessons/cluster/internal/kind"
	"client-go-lessons/cluster/internal/local"
)

// down removes the folder's cluster, whatever state it is in.
func down(ctx context.Context, o *options) error {
	f := o.folder
	if f.Exists() {
		// Another command that is almost done is worth a moment.
		wait, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		l, err := f.Lock(wait, nil)
		if err != nil {
			return err
		}
		defer l.Close()
	}
	st, err := f.State()
	if err != nil {
		o.say.Line("note         %v; removing what there is", err)
	}
	removed := ""
	if pid, err := local.Running(f); err != nil {
		return err
	} else if pid != 0 {
		if err := local.Stop(f); err != nil {
			return err
		}
		removed = "local cluster"
	}
	name, err := downKind(ctx, o, st)
	if err != nil {
		return err
	}
	if name != "" {
		removed = name
	}
	if st != nil && removed == "" {
		removed = st.Provider + " cluster " + st.Name
	}
	if err := f.Remove(); err != nil {
		return err
	}
	if removed == "" {
		fmt.Fprintln(o.out, "down         there is no cluster here")
		return nil
	}
	fmt.Fprintf(o.out, "down         %s removed\n", removed)
	if _, err := os.Stat(f.Logs()); !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(o.out, "logs         %s\n", f.Logs())
	}
	return nil
}

// downKind removes the kind cluster that is noted, or, if nothing is noted, one
// that has the name which only this folder gives. It returns what it removed.
func downKind(ctx context.Context, o *options, st *folder.State) (string, error) {
	name, e := o.folder.DefaultName(), (*engine.Engine)(nil)
	var err error
	switch {
	case st == nil:
		// A look, no more: without an engine there is nothing to remove.
		if e, _ = engine.Detect(ctx); e == nil {
			return "", nil
		}
	case st.Provider == folder.Kind:
		name = st.Name
		if e, err = engine.Named(ctx, st.Engine); err != nil {
			return "", hint.New("then run make down again; first "+hint.Next(err), "kind cluster %s cannot be removed: %w", name, err)
		}
	default:
		return "", nil
	}
	cluster := kind.New(e, name, true)
	nodes, err := cluster.Nodes()
	if err != nil && st != nil {
		return "", fmt.Errorf("list the containers of kind cluster %s: %w", name, err)
	}
	if len(nodes) == 0 {
		return "", nil
	}
	return "kind cluster " + name, cluster.Delete(o.folder.Kubeconfig())
}
