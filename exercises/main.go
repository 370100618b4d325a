// Exercises judges your programs, and says what is still wrong with them. See README.md.
package main

//go:generate go run ./plays/generate.go

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"client-go-lessons/exercises/plays"
	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/judge"
)

// Exit codes.
const (
	exitSolved  = 0
	exitNotYet  = 1 // or it could not be judged
	exitUsage   = 2
	interrupted = 130
	terminated  = 143
)

const usage = `Usage: make learn                      go from one to the next
       make exercise N=03              judge exercise 03
       make exercise N=03 HINT=1       print a hint
       make exercise N=03 SOLUTION=1   say where a solution is
       make exercise N=03 RESET=1      begin it anew; your version is kept
       make exercises                  judge all, and show which is next
`

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// workbench is what a learner works on: all exercises, and a cluster.
type workbench struct {
	screen
	err     io.Writer
	root    string
	all     []judge.Exercise
	cluster *cluster.Cluster
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("exercises", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	hint := fs.Bool("hint", false, "")
	solution := fs.Bool("solution", false, "")
	reset := fs.Bool("reset", false, "")
	all := fs.Bool("all", false, "")
	kubeconfig := fs.String("kubeconfig", "", "")
	contextName := fs.String("context", "", "")
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitSolved
	}
	misuse := func(format string, a ...any) int {
		fmt.Fprintf(stderr, format+"\n\n%s", append(a, usage)...)
		return exitUsage
	}
	b := &workbench{screen: newScreen(stdout), err: stderr}
	if err != nil {
		return misuse("%v.", err)
	}
	if b.root, err = judge.Root(); err != nil {
		return misuse("%v.", err)
	}
	if b.all, err = judge.List(b.root, plays.All); err != nil {
		return b.failed(err)
	}
	first, last := b.all[0].Number(), b.all[len(b.all)-1].Number()
	switch {
	case *all && fs.NArg() > 0:
		return misuse("All exercises, or one: not both.")
	case fs.NArg() == 0 && (*hint || *solution || *reset):
		return misuse("Which exercise? There are %s to %s.", first, last)
	case fs.NArg() > 1:
		return misuse("One exercise at a time, not %s.", strings.Join(fs.Args(), " "))
	}
	one, ok := b.find(fs.Arg(0))
	if fs.NArg() == 1 && !ok {
		return misuse("There is no exercise %q: there are %s to %s.", fs.Arg(0), first, last)
	}
	switch {
	case *hint:
		return b.hint(one)
	case *solution:
		b.solution(one)
		return exitSolved
	case *reset:
		return b.reset(one)
	}
	return b.interruptible(func(ctx context.Context) (code int, err error) {
		if b.cluster, err = cluster.Connect(ctx, *kubeconfig, *contextName); err != nil {
			return exitNotYet, err
		}
		switch {
		case *all:
			return b.judgeAll(ctx)
		case fs.NArg() == 0:
			return b.learn(ctx, stdin)
		}
		return b.judgeOne(ctx, one)
	})
}

// interruptible runs do until it is done, or until Ctrl-C ends its context.
func (b *workbench) interruptible(do func(context.Context) (int, error)) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGPIPE) // a write fails instead, and what was made is still removed
	stopped := make(chan int, 1)
	go func() {
		defer close(stopped)
		select {
		case s := <-signals:
			code := interrupted
			if s == syscall.SIGTERM {
				code = terminated
			}
			stopped <- code
			signal.Stop(signals) // a second one ends the process at once
			cancel()
		case <-ctx.Done():
		}
	}()
	judged, err := do(ctx)
	cancel()
	if code := <-stopped; code != exitSolved {
		if err == nil || errors.Is(err, context.Canceled) {
			fmt.Fprintln(b.err, "Interrupted. What the judge had made is deleted.")
		} else {
			fmt.Fprintf(b.err, "Interrupted.\n%s\n", cluster.Explain(err))
		}
		return code
	}
	if err != nil {
		return b.failed(err)
	}
	return judged
}

func (b *workbench) failed(err error) int {
	fmt.Fprintln(b.err, cluster.Explain(err))
	return exitNotYet
}

// find returns the exercise of this name or number.
func (b *workbench) find(name string) (judge.Exercise, bool) {
	if len(name) == 1 {
		name = "0" + name
	}
	for _, e := range b.all {
		if e.Name == name || e.Number() == name {
			return e, true
		}
	}
	return judge.Exercise{}, false
}

// after returns the exercise that follows.
func (b *workbench) after(e judge.Exercise) (judge.Exercise, bool) {
	for i, other := range b.all {
		if other.Name == e.Name && i+1 < len(b.all) {
			return b.all[i+1], true
		}
	}
	return judge.Exercise{}, false
}
