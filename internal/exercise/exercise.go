// Package exercise starts a learner's program and keeps out of its way: it finds the cluster and a
// namespace, ends the program on Ctrl-C, and prints an error as people read it.
//
// Under the judge (make exercise N=01) the cluster is a recording proxy, and the namespace is the
// judge's. Started by itself, the program gets a namespace of its own, in which nobody else does
// anything.
package exercise

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"runtime/debug"
	"strings"
	"syscall"

	"k8s.io/client-go/rest"

	"client-go-lessons/internal/cluster"
)

// NamespaceEnv names the namespace that the judge has made for the program.
const NamespaceEnv = "EXERCISE_NAMESPACE"

// Main runs the program and does not return. The config is one as you get it anywhere, with
// client-go's defaults. The context ends when the program is to end.
func Main(run func(ctx context.Context, cfg *rest.Config, namespace string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if namespace := os.Getenv(NamespaceEnv); namespace != "" {
		go outlive()
		err = judged(ctx, namespace, run)
	} else {
		err = alone(ctx, run)
	}
	interrupted := ctx.Err() != nil
	stop()
	if err != nil && !interrupted {
		fmt.Fprintln(os.Stderr, cluster.Explain(err))
		os.Exit(1)
	}
	os.Exit(0)
}

type program = func(ctx context.Context, cfg *rest.Config, namespace string) error

func judged(ctx context.Context, namespace string, run program) error {
	c, err := cluster.Connect(ctx, "", "")
	if err != nil {
		return err
	}
	return run(ctx, c.Config, namespace)
}

// outlive ends the program when the judge is gone, however it went: the judge holds the other end
// of the standard input.
func outlive() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// alone runs the program without the judge.
func alone(ctx context.Context, run program) (err error) {
	c, err := cluster.Connect(ctx, "", "")
	if err != nil {
		return err
	}
	name := folder()
	namespace, remove, err := cluster.Scratch(ctx, c, "exercise", name, Stage(name))
	defer func() {
		if left := remove(); left != nil && err == nil {
			err = left
		}
	}()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Nobody judges this run, and nobody changes namespace %s.\n", namespace)
	fmt.Fprintf(os.Stderr, "Ctrl-C ends it. To have it judged: make exercise N=%.2s\n", name)
	return run(ctx, c.Config, namespace)
}

// folder is the exercise's folder below exercises/, taken from the path that the program was built
// from: the judge's name for it, and no argument that a learner would have to keep.
func folder() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for dir := info.Path; dir != "." && dir != "/"; dir = path.Dir(dir) {
		if base := path.Base(dir); len(base) > 2 && base[2] == '-' && strings.Trim(base[:2], "0123456789") == "" {
			return base
		}
	}
	return "unknown"
}
