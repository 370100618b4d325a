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

	r := &Run{out: &printer{
		w: stdout, terminal: isTerminal(stdout), color: hasColor(stdout),
		fail: func() { cancel(errOutput) },
	}}
	err = r.lesson(ctx, l, opts, bufio.NewReader(stdin))
	cancel(nil)
	<-done
	reportLeaks()
	switch {
	case errors.Is(context.Cause(ctx), errOutput): // who reads no more has seen enough
	case code == exitOK && err != nil:
		complain(stderr, err)
		code = exitFailed
	case code != exitOK && r.removed:
		fmt.Fprintf(stderr, "Interrupted. Namespace %s is deleted.\n", r.Namespace)
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

// lesson connects, runs the steps and cleans up.
func (r *Run) lesson(ctx context.Context, l Lesson, opts options, stdin *bufio.Reader) (err error) {
	conn, err := connect(opts)
	if err != nil {
		return err
	}
	r.Config, r.Context = conn.config, conn.context

	ns := &scratch{lesson: l}
	if err := ns.dial(conn.config); err != nil {
		return err
	}
	defer ns.hangUp()
	ready := sync.OnceFunc(r.out.busy("preparing a namespace at " + conn.address()))
	defer ready()
	if r.Version, err = ns.version(ctx); err != nil {
		return fmt.Errorf("reach the cluster at %s: %w", conn.address(), err)
	}
	// Its name is known before the request that makes it goes out, so that a Ctrl-C at any moment
	// finds what there is to delete.
	defer func() {
		ready()
		if opts.keep {
			return
		}
		defer r.out.busy("deleting namespace " + ns.name)()
		var taken bool
		taken, r.left = ns.remove()
		r.removed = r.left == nil && r.Namespace != ""
		if taken && ctx.Err() == nil { // what the steps said of an empty namespace may be wrong
			err = takenAway(ns.name, err)
		}
	}()
	err = r.prepare(ctx, ns, opts)
	ready()
	r.Namespace = ns.name // also if it is not finished: the farewell names what is deleted
	if err != nil {
		return err
	}
	r.header(l, conn, opts)
	if ns.blind {
		r.out.lines("", "           (This user may not list namespaces: those of killed runs stay.)")
	}
	if err := r.steps(ctx, l, opts, stdin); err != nil {
		return err
	}
	if opts.keep {
		r.kept(conn)
	}
	return nil
}

// prepare makes the namespace. Its time is limited even where that of the steps is not.
func (r *Run) prepare(ctx context.Context, ns *scratch, opts options) (err error) {
	limit := preparation
	if opts.timeout > 0 {
		limit = min(limit, opts.timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err = ns.make(ctx); err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &timeoutError{at: preparing, after: limit, err: err}
	}
	return err
}

// steps runs the steps that were asked for, within the overall time limit.
func (r *Run) steps(ctx context.Context, l Lesson, opts options, stdin *bufio.Reader) (err error) {
	if l.Close != nil {
		defer l.Close()
	}
	ctx, cancel := context.WithCancel(ctx)
	if opts.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, opts.timeout)
	}
	defer cancel()
	at := preparing
	defer func() {
		if err != nil && (errors.Is(ctx.Err(), context.DeadlineExceeded) || foresees(err)) {
			err = &timeoutError{at: at, after: opts.timeout, err: err}
		}
	}()

	if l.Setup != nil {
		if err := r.busy("preparing the steps", func() error { return l.Setup(ctx, r) }); err != nil {
			return err
		}
	}
	wanted := opts.steps(l)
	for i, step := range l.Steps {
		if !wanted[i+1] {
			continue
		}
		if opts.pause {
			if err := r.pause(ctx, stdin); err != nil {
				return err
			}
		}
		at = fmt.Sprintf("in step %d, %q", i+1, step.Title)
		r.heading(i+1, step)
		if err := r.busy(step.Title, func() error { return step.Run(ctx, r) }); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if opts.pause {
		if err := r.pause(ctx, stdin); err != nil {
			return err
		}
	}
	if l.Sum != nil && opts.step == 0 {
		r.out.blank()
		r.out.lines("", r.out.bold("What you can now say"))
		l.Sum(r)
		r.out.blank()
		r.out.lines("", fmt.Sprintf("Why all this is so, and what to try: docs/%s.md", l.Name))
	}
	return nil
}

// pausePrompt stands before each step, and before the end, under -pause.
const pausePrompt = "-- press Enter --"

// pause waits for Enter. At the end of the input it waits no more.
func (r *Run) pause(ctx context.Context, stdin *bufio.Reader) error {
	if r.unattended {
		return nil
	}
	r.out.prompt(pausePrompt)
	entered := make(chan error, 1)
	go func() {
		_, err := stdin.ReadString('\n')
		entered <- err
	}()
	select {
	case err := <-entered:
		if err != nil {
			r.unattended = true
			r.out.prompt("-- the input has ended: no more pauses --")
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
	return &advice{what, "Somebody else did that. Run the lesson again."}
}

// foresees tells whether client-go's rate limiter gave up, because the wait would have been longer
// than what was left until the deadline. It has no error value to compare with.
func foresees(err error) bool {
	return strings.Contains(err.Error(), "would exceed context deadline")
}

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
