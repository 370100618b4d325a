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
	"slices"

	"k8s.io/client-go/rest"
)

// Exercise is one small program with one bug.
type Exercise struct {
	Name  string // its folder below exercises/
	About string // the bug, in a few words

	// play acts on the program's stage and looks what it does. It returns what is good about a
	// program that is right, or an error, a *problem for what is the program's own fault.
	play func(context.Context, *trial) (string, error)
}

// Number is the first part of the name, such as 03.
func (e Exercise) Number() string { return e.Name[:2] }

// All are the exercises, in order.
var All = []Exercise{
	{"01-throttled", "client-go holds back what the server would answer", throttled},
	{"02-phantom-events", "a closed watch is read on", phantomEvents},
	{"03-missed-changes", "a new watch does not begin where the last one ended", missedChanges},
	{"04-too-old", "410 is taken for an error like any other", tooOld},
	{"05-too-early", "a lister is read before its cache is filled", tooEarly},
	{"06-factory-per-request", "each request fills a cache of its own", factoryPerRequest},
	{"07-never-started", "a factory starts what it was not yet asked for", neverStarted},
	{"08-tombstone", "a deletion that nobody saw crashes the handler", tombstone},
	{"09-shared-object", "an object of the cache is changed", sharedObject},
	{"10-slow-handler", "a handler does the work itself", slowHandler},
	{"11-conflict", "after a conflict, the old copy is read again", conflict},
	{"12-created-twice", "a stale cache is believed that nothing is there", createdTwice},
}

// Find returns the exercise of this name or number.
func Find(name string) (Exercise, bool) {
	if len(name) == 1 {
		name = "0" + name
	}
	i := slices.IndexFunc(All, func(e Exercise) bool { return e.Name == name || e.Number() == name })
	if i < 0 {
		return Exercise{}, false
	}
	return All[i], true
}

// After returns the exercise that follows.
func (e Exercise) After() (Exercise, bool) {
	i := slices.IndexFunc(All, func(other Exercise) bool { return other.Name == e.Name })
	if i < 0 || i+1 == len(All) {
		return Exercise{}, false
	}
	return All[i+1], true
}

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
func (e Exercise) Judge(ctx context.Context, cfg *rest.Config, path string) (v Verdict, err error) {
	v.Exercise = e
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	t, err := newTrial(ctx, cfg, e, path)
	defer func() {
		// What is left behind is never passed over in silence, also after a Ctrl-C.
		if left := t.close(); left != nil && (err == nil || ctx.Err() != nil) {
			err = left
		}
	}()
	if err != nil {
		return v, err
	}
	good, err := e.play(ctx, t)
	t.program.kill() // before its output is read
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

func notYet(format string, args ...any) error { return &problem{fmt.Sprintf(format, args...)} }
