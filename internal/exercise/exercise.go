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
	"path/filepath"
	"runtime"
	"syscall"

	"k8s.io/client-go/rest"

	"client-go-lessons/internal/cluster"
)

// NamespaceEnv names the namespace that was made for the program.
const NamespaceEnv = "EXERCISE_NAMESPACE"

// Main runs the program and does not return. The config is one as you get it anywhere, with
// client-go's defaults. The context ends when the program is to end.
func Main(run func(ctx context.Context, cfg *rest.Config, namespace string) error) {
	if namespace := os.Getenv(NamespaceEnv); namespace != "" {
		os.Exit(inNamespace(namespace, run))
	}
	_, source, _, _ := runtime.Caller(1)
	os.Exit(alone(source))
}

func inNamespace(namespace string, run func(context.Context, *rest.Config, string) error) (code int) {
	go outlive()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := cluster.Connect(ctx, "", "")
	if err == nil {
		err = run(ctx, c.Config, namespace)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, cluster.Explain(err))
		return 1
	}
	return 0
}

// outlive ends the program when whoever started it is gone, however it went: it holds the other
// end of the standard input.
func outlive() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// folderOf is the exercise's folder, which may be above the source file's own.
func folderOf(source string) string {
	for dir := filepath.Dir(source); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, aboutFile)); err == nil {
			return dir
		}
	}
	return filepath.Dir(source)
}
