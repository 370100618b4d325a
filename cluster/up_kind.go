package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"client-go-lessons/cluster/internal/api"
	"client-go-lessons/cluster/internal/engine"
	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/hint"
	"client-go-lessons/cluster/internal/kind"
)

// kindTimeout is how long a created or restarted kind cluster may take to be
// ready for a lesson.
const kindTimeout = 2 * time.Minute

// errNotCreated says that kind could not create its cluster, and that nothing of
// it is left.
var errNotCreated = errors.New("kind cannot create its cluster here")

// oldCgroup is what to do about it.
const oldCgroup = "use cgroup v2 (https://kubernetes.io/docs/concepts/architecture/cgroups), or: make up PROVIDER=local"

// kindEngine returns an engine that answers, can run a node, as far as that can
// be told beforehand, and has the node image.
func kindEngine(ctx context.Context, o *options) (*engine.Engine, error) {
	e, err := engine.Detect(ctx)
	if err != nil {
		return nil, err
	}
	if err := e.Remote(ctx); err != nil {
		return nil, err
	}
	// An image of the user's own may know how to run on it.
	if o.image == kind.PinnedImage && e.OldCgroup(ctx) {
		return nil, hint.New(oldCgroup, "%s has cgroup v1, which the kubelet of %s refuses", e.Name, kind.Short(o.image))
	}
	if e.HasImage(ctx, o.image) {
		return e, nil
	}
	o.say.Line("pulling      %s (some 400 MB, once)", kind.Short(o.image))
	defer o.say.Done()
	ticking, stop := context.WithCancel(ctx)
	defer stop()
	go func(start time.Time) {
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-ticking.Done():
				tick.Stop()
				return
			case <-tick.C:
				o.say.Progress("pulling      %d s", int(time.Since(start).Seconds()))
			}
		}
	}(time.Now())
	return e, e.Pull(ctx, o.image)
}

// upKind creates the kind cluster unless it is there.
func upKind(ctx context.Context, o *options, st *folder.State) (*api.Client, error) {
	e, err := engine.Named(ctx, st.Engine)
	if err != nil {
		return nil, err
	}
	cluster := kind.New(e, st.Name, false)
	nodes, err := cluster.Nodes()
	if err != nil {
		return nil, fmt.Errorf("list the containers of kind cluster %s: %w", st.Name, err)
	}
	noted, err := o.folder.State()
	if err != nil {
		return nil, err
	}
	switch {
	case len(nodes) == 0:
	case st.Ready:
		return kindAlreadyThere(ctx, o, st, cluster, nodes)
	case noted != nil:
		o.say.Line("removing     what an interrupted start has left")
		if err := cluster.Delete(o.folder.Kubeconfig()); err != nil {
			return nil, err
		}
	case st.Name == o.folder.DefaultName():
		// Ours by its name: the state folder was deleted and the container not.
		o.say.Line("found        kind cluster %s, made for this folder before", st.Name)
		return kindAlreadyThere(ctx, o, st, cluster, nodes)
	default:
		return nil, hint.New("choose another --name, or remove that one: kind delete cluster --name "+st.Name,
			"there is a kind cluster %s already, and it is not this folder's", st.Name)
	}
	if st.Ready {
		o.say.Line("starting     its container is gone; a new one is made")
		st.Ready = false
	}
	// From here on there may be a container: down must know what to look for.
	if err := o.folder.Note(st); err != nil {
		return nil, err
	}
	if err := os.Remove(o.folder.Kubeconfig()); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	if err := cluster.Create(ctx, st.Image, o.folder.Kubeconfig()); err != nil {
		return nil, notCreated(ctx, o, e, err)
	}
	c, err := waitFor(ctx, o, kindTimeout)
	if err != nil {
		if rest := cluster.Delete(o.folder.Kubeconfig()); rest != nil {
			return nil, rest
		}
		return nil, notCreated(ctx, o, e, err)
	}
	return c, nil
}

// notCreated forgets a cluster that could not be created, if nothing of it is
// left, and says why in a line.
func notCreated(ctx context.Context, o *options, e *engine.Engine, err error) error {
	var left *kind.LeftError
	if errors.As(err, &left) {
		return err
	}
	if forgotten := o.folder.Forget(); forgotten != nil {
		return errors.Join(err, forgotten)
	}
	if ctx.Err() != nil { // interrupted: that is no fault of kind's
		return err
	}
	cause, next := kind.Cause(err)
	if next == "" && e.OldCgroup(ctx) {
		next = e.Name + " has cgroup v1, which may be the reason: " + oldCgroup
	}
	if next == "" {
		next = "look at what kind said above, or: make up PROVIDER=local, which needs no containers"
	}
	return hint.New(next, "%w: %s", errNotCreated, cause)
}

// kindAlreadyThere makes use of a cluster that exists, starting its containers if
// they were stopped.
func kindAlreadyThere(ctx context.Context, o *options, st *folder.State, cluster *kind.Cluster, nodes []string) (*api.Client, error) {
	if err := cluster.Start(ctx, nodes); err != nil {
		return nil, err
	}
	if err := os.Remove(o.folder.Kubeconfig()); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	if err := cluster.Export(o.folder.Kubeconfig()); err != nil {
		return nil, hint.New("make a new one: make down up", "get the kubeconfig of %s: %w", st.Name, err)
	}
	c, err := waitFor(ctx, o, kindTimeout)
	if err != nil {
		return nil, hint.New("make a new one: make down up", "kind cluster %s is there but does not work: %w", st.Name, err)
	}
	o.say.Line("up already   %s", st.Context())
	return c, nil
}
