package judge

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/term"
)

// Exit codes of the judge.
const (
	exitSolved  = 0
	exitNotYet  = 1 // or it could not be judged
	exitUsage   = 2
	interrupted = 130
	terminated  = 143
)

const usage = `Usage: make exercise N=03              judge exercise 03
       make exercise N=03 HINT=1       print a hint
       make exercise N=03 SOLUTION=1   say where a solution is
       make exercises                  judge all, and show which is next
`

// Main is the judge's program. It does not return.
func Main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

type runner struct {
	out, err io.Writer
	color    bool // of out
	live     bool // out is a terminal: a line may be written over
	root     string
	cluster  *cluster.Cluster
}

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("exercise", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	hint := fs.Bool("hint", false, "")
	solution := fs.Bool("solution", false, "")
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
	switch {
	case err != nil:
		return misuse("%v.", err)
	case *all && fs.NArg() > 0:
		return misuse("All exercises, or one: not both.")
	case !*all && fs.NArg() == 0:
		return misuse("Which exercise? There are %s to %s.", All[0].Number(), All[len(All)-1].Number())
	case fs.NArg() > 1:
		return misuse("One exercise at a time, not %s.", strings.Join(fs.Args(), " "))
	}
	r := &runner{out: stdout, err: stderr, color: term.HasColor(stdout)}
	r.live = term.IsTerminal(stdout)
	if r.root, err = Root(); err != nil {
		return misuse("%v.", err)
	}
	var one Exercise
	if !*all {
		var ok bool
		if one, ok = Find(fs.Arg(0)); !ok {
			return misuse("There is no exercise %q: there are %s to %s.", fs.Arg(0), All[0].Number(), All[len(All)-1].Number())
		}
	}
	if *hint || *solution {
		return r.help(one, *hint)
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGPIPE) // a write fails instead, and what was made is still removed
	code := exitSolved
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-signals:
			code = interrupted
			if s == syscall.SIGTERM {
				code = terminated
			}
			signal.Stop(signals) // a second one ends the process at once
			cancel()
		case <-ctx.Done():
		}
	}()
	judged := exitNotYet
	if r.cluster, err = cluster.Connect(ctx, *kubeconfig, *contextName); err == nil {
		if *all {
			judged, err = r.all(ctx)
		} else {
			judged, err = r.one(ctx, one)
		}
	}
	cancel()
	<-done
	if code != exitSolved {
		if err == nil || errors.Is(err, context.Canceled) {
			fmt.Fprintln(r.err, "Interrupted. What the judge had made is deleted.")
		} else {
			fmt.Fprintf(r.err, "Interrupted.\n%s\n", cluster.Explain(err))
		}
		return code
	}
	if err != nil {
		fmt.Fprintln(r.err, cluster.Explain(err))
		return exitNotYet
	}
	return judged
}

// help prints the hint, or where the solution is.
func (r *runner) help(e Exercise, hint bool) int {
	folder := filepath.Join("exercises", e.Name)
	if !hint {
		fmt.Fprintf(r.out, "A solution: %s\n", filepath.Join(folder, "solution", "main.go"))
		fmt.Fprintf(r.out, "What it changes: git diff --no-index %s %s\n",
			filepath.Join(folder, "main.go"), filepath.Join(folder, "solution", "main.go"))
		return exitSolved
	}
	text, err := os.ReadFile(filepath.Join(r.root, folder, "hint.md"))
	if err != nil {
		fmt.Fprintln(r.err, cluster.Explain(err))
		return exitNotYet
	}
	fmt.Fprint(r.out, string(text))
	return exitSolved
}

// one judges one exercise and says all about it.
func (r *runner) one(ctx context.Context, e Exercise) (int, error) {
	fmt.Fprintf(r.out, "%s\n", r.style("1", fmt.Sprintf("Exercise %s · %s", e.Number(), strings.ReplaceAll(e.Name[3:], "-", " "))))
	fmt.Fprintf(r.out, "program    exercises/%s/main.go\n", e.Name)
	r.where()
	r.progress("compiling ...")
	v, err := r.judge(ctx, e, func() { r.progress("running ...") })
	r.progress("")
	if err != nil {
		return exitNotYet, err
	}
	r.verdict(v)
	if !v.Solved {
		fmt.Fprintf(r.out, "\nHint: make exercise N=%s HINT=1\n", e.Number())
		return exitNotYet, nil
	}
	if next, ok := e.After(); ok {
		fmt.Fprintf(r.out, "\nNext: exercises/%s/main.go, make exercise N=%s\n", next.Name, next.Number())
	} else {
		fmt.Fprint(r.out, "\nThat was the last one. See them all: make exercises\n")
	}
	return exitSolved, nil
}

// where says which cluster it is, as lessons do.
func (r *runner) where() {
	fmt.Fprintf(r.out, "cluster    %s · Kubernetes %s\n", r.cluster.Context, r.cluster.Version)
	fmt.Fprintf(r.out, "           %s · %s\n\n", r.cluster.Address(), r.cluster.Source)
}

// judge compiles and judges an exercise. compiled is called between the two.
func (r *runner) judge(ctx context.Context, e Exercise, compiled func()) (Verdict, error) {
	path := filepath.Join(r.root, "bin", "exercises", e.Name)
	err := Build(ctx, r.root, filepath.Join("exercises", e.Name), path)
	if said := (*NotCompiled)(nil); errors.As(err, &said) {
		return Verdict{Exercise: e, Text: "Your program does not compile:", Printed: said.Lines}, nil
	}
	if err != nil {
		return Verdict{}, err
	}
	compiled()
	return e.Judge(ctx, r.cluster.Config, path)
}

func (r *runner) verdict(v Verdict) {
	if v.Solved {
		fmt.Fprintln(r.out, r.style("32", "Solved."))
	} else {
		fmt.Fprintln(r.out, r.style("31", "Not yet."))
	}
	for _, line := range wrap(v.Text, 77) {
		fmt.Fprintf(r.out, "   %s\n", line)
	}
	if len(v.Printed) == 0 {
		return
	}
	fmt.Fprintln(r.out)
	for _, printed := range v.Printed {
		for i, line := range fold(printed, 75) {
			if i > 0 {
				line = "  " + line
			}
			fmt.Fprintln(r.out, r.style("2", "   | "+line))
		}
	}
	if v.More > 0 {
		fmt.Fprintln(r.out, r.style("2", fmt.Sprintf("   | ... and %d lines more", v.More)))
	}
}

// atOnce is how many exercises are judged at the same time. Most of the time they wait.
const atOnce = 4

// all judges all exercises, prints a line for each in order, and explains the first that is not
// solved.
func (r *runner) all(ctx context.Context) (int, error) {
	r.where()
	type result struct {
		v   Verdict
		err error
	}
	results := make([]chan result, len(All))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	// The first error ends the others.
	ctx, cancel := context.WithCancel(ctx)
	var judges sync.WaitGroup
	defer judges.Wait()
	defer cancel()
	tokens := make(chan struct{}, atOnce)
	judges.Go(func() {
		for i, e := range All {
			tokens <- struct{}{}
			judges.Go(func() {
				defer func() { <-tokens }()
				v, err := r.judge(ctx, e, func() {})
				results[i] <- result{v, err}
			})
		}
	})

	start := time.Now()
	var first *Verdict
	solved := 0
	for i, e := range All {
		r.progress(fmt.Sprintf("%s  judging ... (%s)", e.Name, bar(i, len(All))))
		got := <-results[i]
		r.progress("")
		if got.err != nil {
			cancel()
			judges.Wait()
			for _, rest := range results[i+1:] { // what was left behind is worth more than "canceled"
				if other := <-rest; errors.Is(got.err, context.Canceled) && other.err != nil {
					got.err = other.err
				}
			}
			return exitNotYet, got.err
		}
		mark := r.style("32", "✓")
		if got.v.Solved {
			solved++
		} else {
			mark = r.style("31", "✗")
			if first == nil {
				first = &got.v
			}
		}
		fmt.Fprintf(r.out, "%s %-24s %s\n", mark, e.Name, r.style("2", e.About))
	}
	fmt.Fprintf(r.out, "\n%s  %d of %d solved, judged in %.0f s\n", bar(solved, len(All)), solved, len(All), time.Since(start).Seconds())
	if first == nil {
		fmt.Fprintln(r.out, "You have solved them all.")
		return exitSolved, nil
	}
	e := first.Exercise
	fmt.Fprintf(r.out, "\n%s\n", r.style("1", fmt.Sprintf("Next: exercises/%s/main.go", e.Name)))
	r.verdict(*first)
	fmt.Fprintf(r.out, "\nJudge it alone: make exercise N=%s. Hint: make exercise N=%s HINT=1\n", e.Number(), e.Number())
	return exitNotYet, nil
}

// bar draws how much is done.
func bar(done, of int) string {
	return "[" + strings.Repeat("#", 2*done) + strings.Repeat("-", 2*(of-done)) + "]"
}

// progress shows what goes on, on a terminal, until the next call.
func (r *runner) progress(what string) {
	if r.live {
		fmt.Fprintf(r.out, "\r\x1b[K%s", what)
	}
}

func (r *runner) style(code, s string) string {
	if !r.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// wrap breaks text into lines of at most width columns, where words end.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// fold makes a line that was printed into at most four of at most width columns, where words end if
// they do. All but the first leave room for an indent of two.
func fold(line string, width int) (lines []string) {
	const most = 4
	rest := []rune(strings.ReplaceAll(line, "\t", "    "))
	for len(rest) > width && len(lines) < most-1 {
		cut := width
		for i := width; i > width/2; i-- {
			if rest[i] == ' ' {
				cut = i
				break
			}
		}
		lines, rest = append(lines, string(rest[:cut])), rest[cut:]
		if rest[0] == ' ' {
			rest = rest[1:]
		}
		if len(lines) == 1 {
			width -= 2
		}
	}
	if len(rest) > width {
		rest = append(rest[:width-1], '…')
	}
	return append(lines, string(rest))
}
