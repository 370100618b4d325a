package lesson

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

type options struct {
	kubeconfig string
	context    string
	keep       bool
	pause      bool
	step       int
	timeout    time.Duration
}

func parseFlags(l Lesson, args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet(l.Name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // an error gets one line, not the whole help
	fs.StringVar(&o.kubeconfig, "kubeconfig", "",
		"read this kubeconfig `file` (default: $KUBECONFIG,\n.cluster/kubeconfig, ~/.kube/config)")
	fs.StringVar(&o.context, "context", "",
		"use the context of this `name`; it may be that of a\ncluster that is not on this machine")
	fs.BoolVar(&o.keep, "keep", false, "leave the lesson's namespace there, for an hour at least")
	fs.BoolVar(&o.pause, "pause", false, "wait for Enter before each step")
	fs.IntVar(&o.step, "step", 0, "run step `N` alone, with what it needs (default: all)")
	fs.DurationVar(&o.timeout, "timeout", 0, "give up after this `time` (default 2m0s, with -pause never)")
	fs.Usage = func() {
		fmt.Fprintf(stderr, "Lesson %s: %s\n\n%s\n\n", number(l), l.Title, strings.TrimSpace(l.About))
		fmt.Fprintf(stderr, "Steps:\n")
		for i, s := range l.Steps {
			fmt.Fprintf(stderr, "  %2d  %s\n", i+1, s.Title)
		}
		fmt.Fprintf(stderr, "\nUsage: go run ./lessons/%s [flags]\n", l.Name)
		fs.SetOutput(stderr)
		fs.PrintDefaults()
	}
	help := fs.Usage
	fs.Usage = func() {} // Parse would print it for each error
	fail := func(format string, a ...any) (options, error) {
		err := fmt.Errorf(format, a...)
		fmt.Fprintf(stderr, "%v. See -h.\n", err)
		return o, err
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		help()
		return o, err
	} else if err != nil {
		return fail("%w", err)
	}
	fs.Visit(func(f *flag.Flag) {
		if f.Name == "step" && o.step == 0 {
			o.step = -1 // 0 stands for all only where the flag is left out
		}
	})
	if o.step < 0 {
		return fail("steps count from 1 to %d", len(l.Steps))
	}
	if fs.NArg() > 0 {
		return fail("a lesson takes flags only, not %q", fs.Arg(0))
	}
	if o.step < 0 || o.step > len(l.Steps) {
		return fail("there is no step %d: lesson %s has steps 1 to %d", o.step, number(l), len(l.Steps))
	}
	if o.timeout < 0 {
		return fail("-timeout must not be negative: %s", o.timeout)
	}
	if o.timeout == 0 && !o.pause {
		o.timeout = 2 * time.Minute
	}
	return o, nil
}

// steps tells which steps are to run: all, or the one asked for and what it needs.
func (o options) steps(l Lesson) map[int]bool {
	wanted := map[int]bool{}
	var want func(n int)
	want = func(n int) {
		wanted[n] = true
		for _, need := range l.Steps[n-1].Needs {
			want(need)
		}
	}
	if o.step > 0 {
		want(o.step)
		return wanted
	}
	for n := range l.Steps {
		wanted[n+1] = true
	}
	return wanted
}

func number(l Lesson) string {
	n, _, _ := strings.Cut(l.Name, "-")
	return n
}
