package main

import (
	"context"
	"errors"
	"os"
	"time"

	"client-go-lessons/cluster/internal/api"
	"client-go-lessons/cluster/internal/compile"
	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/hint"
	"client-go-lessons/cluster/internal/local"
)

// upLocal starts the local control plane unless it runs.
func upLocal(ctx context.Context, o *options, st *folder.State, l *os.File) (*api.Client, error) {
	f := o.folder
	pid, err := local.Running(f)
	if err != nil {
		return nil, err
	}
	if pid != 0 {
		c, err := localAlreadyUp(ctx, o, st, pid)
		if !errors.Is(err, local.ErrEnded) {
			return c, err
		}
	}
	if st.Ready {
		o.say.Line("starting     it was up before and has ended; it starts on the same data")
	}
	if err := local.CheckPort(o.port); err != nil {
		return nil, err
	}
	if err := f.CheckSpace(); err != nil {
		return nil, err
	}
	source, err := compile.Source(o.source)
	if err != nil {
		return nil, err
	}
	binary, err := compile.Binary(ctx, source, o.say)
	if err != nil {
		return nil, err
	}
	// From here on there may be a process: down must know what to look for.
	if err := f.Note(st); err != nil {
		return nil, err
	}
	last := local.LastPort(f)
	begin := time.Now()
	c, err := local.Start(ctx, local.Options{Folder: f, Binary: binary, Context: st.Context(), Port: o.port, Lock: l},
		func(what string) { o.say.Progress("%s", what) })
	if err != nil {
		return nil, err
	}
	o.say.Line("ready        after %.1f s", time.Since(begin).Seconds())
	if now := local.LastPort(f); last != 0 && o.port == 0 && now != last {
		o.say.Line("port         %d was taken by another program; it is %d now", last, now)
	}
	return c, publish(f)
}

// localAlreadyUp waits for a control plane that was started before: it may still
// be on its way, or on its way out, for which the error is local.ErrEnded.
func localAlreadyUp(ctx context.Context, o *options, st *folder.State, pid int) (*api.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := local.WaitForRunning(ctx, o.folder, pid, func(what string) { o.say.Progress("%s", what) })
	switch {
	case errors.Is(err, local.ErrEnded):
		return nil, err
	case err != nil:
		return nil, hint.New("start anew: make down up", "the control plane runs (process %d) but: %w", pid, err)
	}
	if port := local.LastPort(o.folder); o.port != 0 && o.port != port {
		return nil, hint.New("to move it: make down up", "it is up already, on port %d", port)
	}
	o.say.Line("up already   %s", st.Context())
	return c, publish(o.folder)
}

// publish gives the kubeconfig to the folder's clients.
func publish(f *folder.Folder) error {
	data, err := local.Kubeconfig(f)
	if err != nil {
		return err
	}
	return f.WriteKubeconfig(data)
}
