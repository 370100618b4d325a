package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"client-go-lessons/cluster/internal/api"
	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/hint"
	"client-go-lessons/cluster/internal/kind"
)

// up brings a cluster up, whatever state the folder is in: empty, up, dead, or
// left halfway by an up that was killed.
func up(ctx context.Context, o *options) error {
	f := o.folder
	if err := f.Create(); err != nil {
		return err
	}
	l, err := f.Lock(ctx, func(who string) { o.say.Line("waiting      %s is at work here", who) })
	if err != nil {
		return err
	}
	defer l.Close()

	st, err := f.State()
	if err != nil {
		return err
	}
	chosen := st == nil // by us, and now
	if chosen {
		if st, err = choose(ctx, o); err != nil {
			return err
		}
	} else if err := agree(o, st); err != nil {
		return err
	}
	var c *api.Client
	if st.Provider == folder.Kind {
		c, err = upKind(ctx, o, st)
	}
	if errors.Is(err, errNotCreated) && chosen && o.provider == auto {
		o.say.Line("provider     local; kind passed over: %v", err)
		st, err = &folder.State{Provider: folder.Local, Name: st.Name}, nil
	}
	if st.Provider == folder.Local && err == nil {
		c, err = upLocal(ctx, o, st, l)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	st.Ready = true
	if err := f.Note(st); err != nil {
		return err
	}
	return report(ctx, o, st, c)
}

// choose decides what to bring up in a folder that knows of no cluster.
func choose(ctx context.Context, o *options) (*folder.State, error) {
	st := &folder.State{Provider: o.provider, Name: o.name}
	if st.Name == "" {
		st.Name = o.folder.DefaultName()
	}
	if o.provider == folder.Local {
		return st, nil
	}
	e, err := kindEngine(ctx, o)
	switch {
	case err == nil:
		st.Provider, st.Engine, st.Image = folder.Kind, e.Name, o.image
		if o.provider == auto {
			o.say.Line("provider     kind: %s answers and has %s", e.Name, kind.Short(o.image))
		}
		return st, nil
	case ctx.Err() != nil || o.provider == folder.Kind:
		return nil, err
	}
	o.say.Line("provider     local; kind passed over: %v", err)
	st.Provider = folder.Local
	return st, nil
}

// provider prints what choose decides, for those who make the cluster by other means.
func provider(ctx context.Context, o *options) error {
	st, err := choose(ctx, o)
	if err != nil {
		return err
	}
	if o.json {
		return writeJSON(o, map[string]string{"provider": st.Provider, "engine": st.Engine})
	}
	fmt.Fprintln(o.out, st.Provider)
	return nil
}

// agree makes sure that what is asked for is what is there.
func agree(o *options, st *folder.State) error {
	next := "to have another one: make down up"
	if o.provider != auto && o.provider != st.Provider {
		return hint.New(next, "this folder's cluster is %s, not %s", st.Provider, o.provider)
	}
	if o.name != "" && o.name != st.Name {
		return hint.New(next, "this folder's cluster is named %s, not %s", st.Name, o.name)
	}
	if o.imageGiven && st.Provider == folder.Kind && o.image != st.Image {
		return hint.New(next, "this folder's cluster is made from %s, not %s", st.Image, o.image)
	}
	if o.port != 0 && st.Provider == folder.Kind {
		return hint.New(next, "this folder's cluster is kind's, which chooses its own port")
	}
	return nil
}

// report tells what is up and what to do with it.
func report(ctx context.Context, o *options, st *folder.State, c *api.Client) error {
	version, err := c.Version(ctx)
	if err != nil {
		return fmt.Errorf("the cluster is up, but does not tell its version: %w", err)
	}
	o.say.Done()
	fmt.Fprintf(o.out, "cluster      %s · Kubernetes %s\n", st.Context(), version)
	fmt.Fprintf(o.out, "server       %s\n", c.Server)
	fmt.Fprintf(o.out, "kubeconfig   %s\n", o.folder.Kubeconfig())
	fmt.Fprintf(o.out, "next         go run ./lessons/01-direct\n")
	return nil
}

// waitFor waits until the server of the kubeconfig is ready for a lesson.
func waitFor(ctx context.Context, o *options, timeout time.Duration) (*api.Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errors.New("it took too long"))
	defer cancel()
	defer o.say.Done()
	return api.Wait(ctx, func() (*api.Client, error) { return api.Open(o.folder.Kubeconfig()) },
		func(what string) { o.say.Progress("%s", what) })
}

// kubeconfig prints where the kubeconfig is.
func kubeconfig(_ context.Context, o *options) error {
	if _, err := os.Stat(o.folder.Kubeconfig()); err != nil {
		return hint.New("make up", "there is no kubeconfig: %w", err)
	}
	fmt.Fprintln(o.out, o.folder.Kubeconfig())
	return nil
}
