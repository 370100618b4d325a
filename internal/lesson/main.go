package lesson

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/term"
	"client-go-lessons/internal/wire"
)

// Exit codes of a lesson.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
	exitTerminated  = 143 // 128 + SIGTERM
)

// Main runs the lesson as the program's main function and does not return.
func Main(l Lesson) {
	os.Exit(run(l, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// errOutput ends a run whose output nobody reads any more, as in `go run ... | head -1`.
var errOutput = errors.New("the output was closed")

func run(l Lesson, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	opts, err := parseFlags(l, args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}

	// A write to a closed pipe must come back as an error, or SIGPIPE would end the process with
	// the namespace left behind.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	code := exitOK
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-signals:
			code = exitInterrupted
			if s == syscall.SIGTERM {
				code = exitTerminated
			}
			signal.Stop(signals) // a second one ends the process at once
			cancel(context.Canceled)
		case <-ctx.Done():
		}
	}()

	r := &Run{out: term.NewPrinter(stdout), claims: opts.claims}
	r.out.Failed = func() { cancel(errOutput) }
	err = r.lesson(ctx, l, opts, bufio.NewReader(stdin))
	cancel(nil)
	<-done
	reportLeaks()
	switch {
	case errors.Is(context.Cause(ctx), errOutput): // who reads no more has seen enough
	case code == exitOK && err != nil:
		complain(stderr, err)
		code = exitFailed
	case code != exitOK && r.removed != "":
		fmt.Fprintf(stderr, "Interrupted. Namespace %s %s.\n", r.Namespace, r.removed)
	case code != exitOK:
		fmt.Fprintln(stderr, "Interrupted.")
	}
	// Whatever ended the run, a namespace that stays behind is never passed over in silence.
	if r.left != nil {
		complain(stderr, r.left)
		code = max(code, exitFailed)
	}
	return code
}

// complain says what failed and what to do next. On a terminal no line is longer than it is wide.
func complain(w io.Writer, err error) {
	text := cluster.Explain(err)
	if term.IsTerminal(w) {
		text = term.Fold(text, min(term.Width(w), term.Columns))
	}
	fmt.Fprintln(w, text)
}

// lesson connects, runs the steps and cleans up.
func (r *Run) lesson(ctx context.Context, l Lesson, opts options, stdin *bufio.Reader) (err error) {
	c, err := cluster.Find(opts.kubeconfig, opts.context)
	if err != nil {
		return err
	}
	r.Config = c.Config
	ns, err := c.NewNamespace("lesson-"+number(l), l.Name, l.ConfigMaps)
	if err != nil {
		return err
	}
	defer ns.Close()
	ready := sync.OnceFunc(r.out.Busy("preparing a namespace at " + c.Address()))
	defer ready()
	if c.Version, err = ns.ServerVersion(ctx); err != nil {
		return fmt.Errorf("reach the cluster at %s: %w", c.Address(), err)
	}
	defer func() {
		ready()
		if !opts.keep {
			err = r.remove(ctx, ns, err)
		}
	}()
	err = r.prepare(ctx, ns, opts)
	ready()
	r.Namespace = ns.Name // also if it is not finished: the farewell names what is deleted
	if err != nil {
		return err
	}
	r.header(l, c, opts)
	if ns.Blind {
		r.out.Lines("", "           (This user may not list namespaces: those of killed runs stay.)")
	}
	if err := r.steps(ctx, l, opts, stdin, ns); err != nil {
		return err
	}
	if opts.keep {
		r.kept(c)
	}
	return nil
}

// remove deletes the namespace, and adds to err what that says about it.
func (r *Run) remove(ctx context.Context, ns *cluster.Namespace, err error) error {
	defer r.out.Busy("deleting namespace " + ns.Name)()
	removal, left := ns.Remove()
	if ns.Gone() { // err says so, and what that means for the namespace
		return err
	}
	r.left = left
	if left == nil && r.Namespace != "" {
		r.removed = removal.String()
	}
	if removal.Taken && ctx.Err() == nil { // what the steps said of an empty namespace may be wrong
		return takenAway(ns.Name, err)
	}
	return err
}

// prepare makes the namespace. Its time is limited even where that of the steps is not.
func (r *Run) prepare(ctx context.Context, ns *cluster.Namespace, opts options) (err error) {
	limit := preparation
	if opts.timeout > 0 {
		limit = min(limit, opts.timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err = ns.Make(ctx); err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &timeoutError{at: preparing, after: limit, err: err}
	}
	return err
}

// steps runs the technique and the steps that were asked for, within the overall time limit. Beside
// them it looks whether the server is still there.
func (r *Run) steps(
	ctx context.Context, l Lesson, opts options, stdin *bufio.Reader, ns *cluster.Namespace,
) (err error) {
	if l.Close != nil {
		defer l.Close()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if opts.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, opts.timeout)
		defer stop()
	}
	wire.NoticeEndlessSync(r.Config, mostSyncs, silentSync, func() { cancel(endlessSync) })
	at := preparing
	defer func() {
		var told *cluster.Advice
		if cause := context.Cause(ctx); err != nil && errors.As(cause, &told) {
			err = told
		} else if err != nil && (errors.Is(ctx.Err(), context.DeadlineExceeded) || foresees(err)) {
			err = &timeoutError{at: at, after: opts.timeout, err: err}
		}
	}()
	do := func(what string, f func() error) error {
		defer r.out.Busy(what)()
		defer watchServer(ctx, cancel, ns, r.out.Quiet)()
		return f()
	}

	if l.Technique.Run != nil && opts.step == "" {
		at = "in " + l.Technique.Name
		r.out.Blank()
		r.out.Lines("", r.out.Bold(fmt.Sprintf("The technique in one piece: %s, in %s",
			l.Technique.Name, l.Technique.File)))
		if err := do("technique", func() error { return r.technique(ctx, l.Technique) }); err != nil {
			return fmt.Errorf("%s: %w", l.Technique.Name, err)
		}
	}
	if l.Setup != nil {
		if err := do("preparing the steps", func() error { return l.Setup(ctx, r) }); err != nil {
			return err
		}
	}
	wanted := opts.steps(l)
	for i, step := range l.Steps {
		if !wanted[step.Name] {
			continue
		}
		if opts.pause {
			if err := r.pause(ctx, stdin, step.Name); err != nil {
				return err
			}
		}
		at = fmt.Sprintf("in step %d (%s)", i+1, step.Name)
		r.heading(i+1, step)
		if err := do(step.Title, func() error { return step.Run(ctx, r) }); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, step.Name, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if opts.pause {
		if err := r.pause(ctx, stdin, theEnd); err != nil {
			return err
		}
	}
	if l.Sum != nil && opts.step == "" {
		r.out.Blank()
		r.out.Lines("", r.out.Bold("What you can now say"))
		l.Sum(r)
		r.out.Blank()
		r.out.Lines("", fmt.Sprintf("The reasons, and what to try: docs/%s.md", l.Name))
	}
	return nil
}

// A list by watch is endless when so many begin in vain, or one is silent for so long in the middle.
const (
	mostSyncs  = 20
	silentSync = 15 * time.Second
)

// endlessSync ends a lesson whose informer would wait for its sync for ever.
var endlessSync = &cluster.Advice{
	What: "an informer cannot sync: the lists that its watches start with do not come to their end",
	Next: "The server, or a proxy before it, drops what ends them. " +
		"Run the lesson with KUBE_FEATURE_WatchListClient=false, which has client-go list first",
}

// watchServer cancels once the server is gone, until the function that it returns is called.
func watchServer(
	ctx context.Context, cancel context.CancelCauseFunc, ns *cluster.Namespace, quiet func() time.Duration,
) (done func()) {
	if ns == nil { // in tests
		return func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := ns.Lost(ctx, quiet); err != nil {
			cancel(err)
		}
	}()
	return func() {
		stop()
		<-ended
	}
}

// theEnd stands for what the lesson says after the last step.
const theEnd = "end"

// pausePrompt stands before each step, and before the end, under -pause. It names what comes.
func pausePrompt(name string) string { return fmt.Sprintf("-- %s: press Enter --", name) }

// pause waits for Enter. At the end of the input it waits no more.
func (r *Run) pause(ctx context.Context, stdin *bufio.Reader, name string) error {
	if r.unattended {
		return nil
	}
	r.out.Lines("", pausePrompt(name))
	entered := make(chan error, 1)
	go func() {
		_, err := stdin.ReadString('\n')
		entered <- err
	}()
	select {
	case err := <-entered:
		if err != nil {
			r.unattended = true
			r.out.Lines("", "-- the input has ended: no more pauses --")
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takenAway says that the namespace was deleted, and what came of it, if anything did.
func takenAway(namespace string, err error) error {
	what := fmt.Sprintf("namespace %s was deleted while the lesson ran", namespace)
	if err != nil {
		what += fmt.Sprintf(" (%v)", err)
	}
	return &cluster.Advice{What: what, Next: "Somebody else did that. Run the lesson again."}
}

// foresees tells whether client-go's rate limiter gave up, because the wait would have been longer
// than what was left until the deadline. It has no error value to compare with.
func foresees(err error) bool {
	return strings.Contains(err.Error(), "would exceed context deadline")
}

// preparation is how long all that comes before the first step may take.
const preparation = time.Minute

// preparing is where a lesson is before its first step.
const preparing = "while it prepared"

type timeoutError struct {
	at    string
	after time.Duration
	err   error
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("the lesson was not done after %s: it hung %s (%v)", e.after, e.at, e.err)
}

func (e *timeoutError) Unwrap() error { return e.err }

// Next implements cluster.Next.
func (e *timeoutError) Next() string {
	return "See how the cluster is with: make status. A slow one may need a longer -timeout."
}
