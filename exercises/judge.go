package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"client-go-lessons/internal/judge"
)

// judgeOne judges one exercise and says all about it.
func (b *workbench) judgeOne(ctx context.Context, e judge.Exercise) (int, error) {
	b.title(e)
	if err := b.begin(e); err != nil {
		return exitNotYet, err
	}
	b.where()
	v, err := b.judge(ctx, e, b.progress)
	b.progress("")
	if err != nil {
		return exitNotYet, err
	}
	b.verdict(v)
	if !v.Solved {
		b.say("\nHint: make exercise N=%s HINT=1", e.Number())
		return exitNotYet, nil
	}
	if next, ok := b.after(e); ok {
		b.say("\nNext: %s, make exercise N=%s", b.program(next), next.Number())
	} else {
		b.say("\nThat was the last one. See them all: make exercises")
	}
	return exitSolved, nil
}

func (b *workbench) title(e judge.Exercise) {
	b.say("%s", b.style("1", fmt.Sprintf("Exercise %s · %s", e.Number(), e.Title)))
	b.say("%s · about %d minutes · lesson %s", difficulty(e), e.Minutes, e.Lesson)
	b.say("program    %s", b.program(e))
}

func difficulty(e judge.Exercise) string {
	return [...]string{"easy", "medium", "hard"}[max(0, min(2, e.Difficulty-1))]
}

// where says which cluster it is, as lessons do.
func (b *workbench) where() {
	b.say("cluster    %s · Kubernetes %s", b.cluster.Context, b.cluster.Version)
	b.say("           %s · %s\n", b.cluster.Address(), b.cluster.Source)
}

// judge compiles and judges an exercise, and tells which of the two it does.
func (b *workbench) judge(ctx context.Context, e judge.Exercise, doing func(string)) (v judge.Verdict, err error) {
	path := filepath.Join(b.root, "bin", "exercises", e.Name)
	doing("compiling ...")
	err = judge.Build(ctx, b.root, filepath.Join("exercises", e.Name), path)
	if said := (*judge.NotCompiled)(nil); errors.As(err, &said) {
		return judge.Verdict{Exercise: e, Text: "Your program does not compile:", Printed: said.Lines}, nil
	}
	if err != nil {
		return v, err
	}
	doing("running ...")
	if v, err = e.Judge(ctx, b.cluster, path); err == nil && v.Solved {
		err = b.remember(e)
	}
	return v, err
}

// shown is how many lines of a program's output a learner sees.
const shown = 8

func (b *workbench) verdict(v judge.Verdict) {
	if v.Solved {
		b.say("%s", b.style("32", "Solved."))
	} else {
		b.say("%s", b.style("31", "Not yet."))
	}
	b.say("%s", fill(v.Text))
	if len(v.Printed) == 0 {
		return
	}
	b.say("")
	lines := v.Printed[:min(len(v.Printed), shown)]
	for _, printed := range lines {
		for i, line := range fold(printed, 75) {
			if i > 0 {
				line = "  " + line
			}
			b.say("%s", b.style("2", "   | "+line))
		}
	}
	if more := v.More + len(v.Printed) - len(lines); more > 0 {
		b.say("%s", b.style("2", fmt.Sprintf("   | ... and %d lines more", more)))
	}
}

// atOnce is how many exercises are judged at the same time. Most of the time they wait.
const atOnce = 4

type result struct {
	v   judge.Verdict
	err error
}

// judgeAll judges all exercises that were begun, prints a line for each in order, and explains the
// first that is not solved.
func (b *workbench) judgeAll(ctx context.Context) (int, error) {
	b.where()
	ctx, cancel := context.WithCancel(ctx) // the first error ends the others
	var judges sync.WaitGroup
	defer judges.Wait()
	defer cancel()
	results := make([]chan result, len(b.all))
	tokens := make(chan struct{}, atOnce)
	for i := range results {
		results[i] = make(chan result, 1)
	}
	judges.Go(func() {
		for i, e := range b.all {
			if !b.begun(e) {
				results[i] <- result{}
				continue
			}
			tokens <- struct{}{}
			judges.Go(func() {
				defer func() { <-tokens }()
				v, err := b.judge(ctx, e, func(string) {})
				results[i] <- result{v, err}
			})
		}
	})

	start, solved := time.Now(), 0
	var first *judge.Verdict
	for i, e := range b.all {
		b.progress(fmt.Sprintf("%s  judging ... (%s)", e.Name, bar(i, len(b.all))))
		got := <-results[i]
		b.progress("")
		if got.err != nil {
			cancel()
			return exitNotYet, worst(got.err, results[i+1:])
		}
		mark := b.style("31", "✗")
		switch {
		case got.v.Solved:
			mark = b.style("32", "✓")
			solved++
		case !b.begun(e):
			mark = "·"
		case first == nil:
			first = &got.v
		}
		b.row(mark, e)
	}
	b.say("\n%s  %d of %d solved, judged in %.0f s", bar(solved, len(b.all)), solved, len(b.all), time.Since(start).Seconds())
	switch next, left := b.next(); {
	case first != nil:
		e := first.Exercise
		b.say("\n%s", b.style("1", "Next: "+b.program(e)))
		b.verdict(*first)
		b.say("\nJudge it alone: make exercise N=%s. Hint: make exercise N=%s HINT=1", e.Number(), e.Number())
	case left:
		b.say("\nNext: make exercise N=%s", next.Number())
	default:
		b.say("You have solved them all.")
		return exitSolved, nil
	}
	return exitNotYet, nil
}

// row is an exercise on one line.
func (b *workbench) row(mark string, e judge.Exercise) {
	b.say("%s %s  %-45s %s", mark, e.Number(), e.Title, b.style("2", fmt.Sprintf("%s, %d min", difficulty(e), e.Minutes)))
}

// worst prefers what the other judges say to "canceled": what was left behind is worth more.
func worst(err error, others []chan result) error {
	for _, rest := range others {
		if other := <-rest; errors.Is(err, context.Canceled) && other.err != nil {
			err = other.err
		}
	}
	return err
}

// bar draws how much is done.
func bar(done, of int) string {
	return "[" + strings.Repeat("#", done) + strings.Repeat("-", of-done) + "]"
}
