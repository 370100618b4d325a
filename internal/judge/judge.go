// Package judge runs a learner's program against a cluster, through a recording proxy, and tells
// by what it did whether its bug is gone: by its requests, by what is on the server afterwards, and
// by what it printed. It never looks at the program's source.
//
// What goes wrong on the way to the server the judge injects itself, so that each bug shows every
// time. Its sentences say so.
package judge

import (
	"context"
	"errors"
	"fmt"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/exercise"
)

// Play is what the judge does with a program: it acts on the program's stage and looks what the
// program does. It returns what is good about a program that is right, or an error: a NotYet for
// what is the program's own fault.
type Play func(context.Context, *Trial) (string, error)

// Exercise is one small program with one bug.
type Exercise struct {
	exercise.About
	Name string // its folder below exercises/
	Play Play
}

// Number is the first part of the name, such as 03.
func (e Exercise) Number() string { return e.Name[:2] }

// Verdict is what the judge found.
type Verdict struct {
	Exercise Exercise
	Solved   bool
	Text     string   // in sentences, with the numbers that were measured
	Printed  []string // by the program
	More     int      // lines that it printed beyond these
}

// Judge runs the program at path as this exercise. The error is one of the cluster or the judge,
// not of the program.
func (e Exercise) Judge(ctx context.Context, c *cluster.Cluster, path string) (v Verdict, err error) {
	v.Exercise = e
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	t, err := newTrial(ctx, c, e, path)
	defer func() {
		// What is left behind is never passed over in silence, also after a Ctrl-C.
		if left := t.close(); left != nil && (err == nil || ctx.Err() != nil) {
			err = left
		}
	}()
	if err != nil {
		return v, err
	}
	good, err := e.Play(ctx, t)
	t.Kill() // before its output is read
	v.Printed, v.More = t.program.printed()
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	if p := (*problem)(nil); errors.As(err, &p) {
		v.Text = p.text
		return v, nil
	}
	v.Solved, v.Text = err == nil, good
	return v, err
}

// problem is what is wrong with the program.
type problem struct{ text string }

func (p *problem) Error() string { return p.text }

// NotYet returns an error that says what is wrong with the program, and what the judge saw of it.
func NotYet(format string, args ...any) error { return &problem{fmt.Sprintf(format, args...)} }
