// Observe runs any program that uses Kubernetes, and tells what it did on the wire: its requests,
// its watches, how long and how much, and what in that costs too much or will go wrong.
//
//	go run ./observe -- ./my-controller
//	go run ./observe -live -- kubectl get pods -w
//	go run ./observe -fault 'watch/configmaps: cut after 3 events' -- ./my-controller
//	go run ./observe -serve
//
// The program is given a kubeconfig, in KUBECONFIG, that leads to a proxy on this machine. All that
// passes there reaches the cluster and comes back unchanged. See docs/observe.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/term"
)

// Exit codes besides that of the command.
const (
	exitFailed      = 1 // no cluster, or none of the files that were asked for
	exitUsage       = 2
	exitNoCommand   = 127 // as a shell has it
	exitNotRunnable = 126
	interrupted     = 130
)

func main() { os.Exit(run(os.Args[1:])) }

// options are what the command line says.
type options struct {
	kubeconfig, context string
	faults              []fault
	live, serve         bool
	json, har           string
	command             []string
}

func run(args []string) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "observe: %v.\nAll that it can do: go run ./observe -h\n", err)
		return exitUsage
	}
	if len(o.command) > 0 {
		if _, err := exec.LookPath(o.command[0]); err != nil {
			return complainOfCommand(o.command[0], err)
		}
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	target, err := cluster.Connect(ctx, o.kubeconfig, o.context)
	early := ctx.Err() != nil
	stop()
	switch {
	case early:
		fmt.Fprintln(os.Stderr, "observe: interrupted before the command was started.")
		return interrupted
	case err != nil:
		fmt.Fprintln(os.Stderr, term.Fold(cluster.Explain(err), term.Width(os.Stderr)))
		return exitFailed
	}
	s, err := newSession(o, target)
	if err != nil {
		fmt.Fprintf(os.Stderr, "observe: %v.\nNothing was started.\n", err)
		return exitFailed
	}
	if o.serve {
		return s.serve()
	}
	return s.runCommand(o.command)
}

// parse reads the command line.
func parse(args []string) (o options, err error) {
	fs := flag.NewFlagSet("observe", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.kubeconfig, "kubeconfig", "", "")
	fs.StringVar(&o.context, "context", "", "")
	fs.BoolVar(&o.live, "live", false, "")
	fs.BoolVar(&o.serve, "serve", false, "")
	fs.StringVar(&o.json, "json", "", "")
	fs.StringVar(&o.har, "har", "", "")
	fs.Func("fault", "", func(text string) error {
		f, err := parseFault(text)
		o.faults = append(o.faults, f)
		return err
	})
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.command = fs.Args()
	switch {
	case o.serve && len(o.command) > 0:
		return o, fmt.Errorf("-serve runs no command, and there is one: %s", strings.Join(o.command, " "))
	case !o.serve && len(o.command) == 0:
		return o, errors.New("there is no command to run, and no -serve")
	}
	return o, nil
}

// complainOfCommand says why a command cannot be run, and returns the exit code of a shell.
func complainOfCommand(name string, err error) int {
	if errors.Is(err, os.ErrPermission) {
		fmt.Fprintf(os.Stderr, "observe: %s is no program that you may run.\nMake it executable (chmod +x), or name another.\n", name)
		return exitNotRunnable
	}
	next := "Check its path."
	if !strings.Contains(name, "/") {
		next = fmt.Sprintf("Check its name; one that is in this folder is ./%s.", name)
	}
	fmt.Fprintf(os.Stderr, "observe: there is no command %s.\n%s\n", name, next)
	return exitNoCommand
}
