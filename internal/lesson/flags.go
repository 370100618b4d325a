package lesson

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

type options struct {
	kubeconfig string
	context    string
	keep       bool
	pause      bool
	step       string // name of the only one to run, or ""
	claims     bool
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
	fs.Func("step", "run the step of this `name` or number alone, with what it needs",
		func(text string) (err error) { o.step, err = stepName(l, text); return err })
	fs.BoolVar(&o.claims, "claims", false, "print which claims of docs/claims.md each step shows")
	fs.DurationVar(&o.timeout, "timeout", 0, "give up after this `time` (default 10m, with -pause never)")
	fs.Usage = func() {
		fmt.Fprintf(stderr, "Lesson %s: %s\n\n%s\n\n", number(l), l.Title, strings.TrimSpace(l.About))
		fmt.Fprintf(stderr, "Steps:\n")
		for i, s := range l.Steps {
			fmt.Fprintf(stderr, "  %2d  %-12s  %s\n", i+1, s.Name, s.Title)
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
	if fs.NArg() > 0 {
		return fail("a lesson takes flags only, not %q", fs.Arg(0))
	}
	if o.timeout < 0 {
		return fail("-timeout must not be negative: %s", o.timeout)
	}
	if o.timeout == 0 && !o.pause {
		o.timeout = 10 * time.Minute // far from what a busy machine needs
	}
	return o, nil
}

// stepName returns the name of the step that a user means by a name or a number.
func stepName(l Lesson, text string) (string, error) {
	if i := slices.IndexFunc(l.Steps, func(s Step) bool { return s.Name == text }); i >= 0 {
		return text, nil
	}
	n, err := strconv.Atoi(text)
	if err == nil && n >= 1 && n <= len(l.Steps) {
		return l.Steps[n-1].Name, nil
	}
	return "", fmt.Errorf("there is no such step: lesson %s has steps 1 to %d", number(l), len(l.Steps))
}

// steps tells which steps are to run: all, or the one asked for and what it needs.
func (o options) steps(l Lesson) map[string]bool {
	wanted := map[string]bool{}
	var want func(name string)
	want = func(name string) {
		wanted[name] = true
		for _, s := range l.Steps {
			if s.Name == name {
				for _, need := range s.Needs {
					want(need)
				}
			}
		}
	}
	if o.step != "" {
		want(o.step)
		return wanted
	}
	for _, s := range l.Steps {
		wanted[s.Name] = true
	}
	return wanted
}

func number(l Lesson) string {
	n, _, _ := strings.Cut(l.Name, "-")
	return n
}
