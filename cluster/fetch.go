package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"client-go-lessons/cluster/internal/compile"
	"client-go-lessons/cluster/internal/engine"
	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/kind"
)

// errNothingFetched is fetched's way of saying no: there is nothing to add to it.
var errNothingFetched = errors.New("nothing to start a cluster from")

// fetch gets what a later up must not have to get: the control plane, compiled,
// and the node image where there is an engine for it. It starts nothing.
func fetch(ctx context.Context, o *options) error {
	if o.provider != folder.Kind {
		source, err := compile.Source(o.source)
		if err != nil {
			return err
		}
		if _, err := compile.Binary(ctx, source, o.say); err != nil {
			return err
		}
	}
	if o.provider != folder.Local {
		// Without kind the local control plane serves.
		e, err := kindEngine(ctx, o)
		if err != nil && (ctx.Err() != nil || o.provider == folder.Kind) {
			return err
		}
		if err != nil && e != nil { // fetched tells what else it may be
			o.say.Line("not pulled   %v", err)
		}
	}
	return fetched(ctx, o)
}

// fetched tells what is here of that which up needs.
func fetched(ctx context.Context, o *options) error {
	some := false
	tell := func(what string, there bool, text string) {
		if !there {
			text = "not here: " + text
		}
		some = some || there
		fmt.Fprintf(o.out, "%-14s %s\n", what, text)
	}
	if o.provider != folder.Kind {
		text, there := controlPlaneHere(o)
		tell("control plane", there, text)
	}
	if o.provider != folder.Local {
		text, there := nodeImageHere(ctx, o)
		tell("node image", there, text)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !some:
		return errNothingFetched
	}
	return nil
}

func controlPlaneHere(o *options) (text string, there bool) {
	source, err := compile.Source(o.source)
	if err != nil {
		return err.Error(), false
	}
	info, err := os.Stat(compile.Path(source))
	if err != nil {
		return "Kubernetes " + compile.Version + " is yet to be compiled", false
	}
	return fmt.Sprintf("Kubernetes %s, compiled, %d MB", compile.Version, info.Size()/1_000_000), true
}

func nodeImageHere(ctx context.Context, o *options) (text string, there bool) {
	e, err := engine.Detect(ctx)
	if err != nil {
		return err.Error(), false
	}
	if !e.HasImage(ctx, o.image) {
		return fmt.Sprintf("%s has no %s", e.Name, kind.Short(o.image)), false
	}
	text = fmt.Sprintf("%s, in %s", kind.Short(o.image), e.Name)
	if n := e.ImageSize(ctx, o.image); n > 0 {
		text += fmt.Sprintf(", %d MB", n/1_000_000)
	}
	return text, true
}
