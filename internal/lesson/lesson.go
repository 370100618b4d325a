// Package lesson is what all lessons share and no lesson teaches: flags, a namespace for the run, the
// look of the output.
//
// A lesson calls [Main] with its technique and its steps. Each step gets a [Run]: the config to make
// clients from, the namespace, and functions that print.
package lesson

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/term"
)

// Lesson describes a lesson.
type Lesson struct {
	Name  string // its folder below lessons/, such as "01-direct"
	Title string // the first line of its output
	About string // the lines below it: what the lesson teaches. -h prints them, too

	ConfigMaps []*corev1.ConfigMap // made in the namespace before anything else

	Technique Technique                         // runs first, if all steps run
	Setup     func(context.Context, *Run) error // runs before the steps, whichever are asked for
	Steps     []Step
	Sum       func(*Run) // says what was learned, after the last step
	Close     func()     // frees what Setup and the steps hold, before the namespace is deleted
}

// Technique is what the lesson teaches, in one function: client-go and fmt, and nothing of this
// workspace, so that a reader can paste it into a program. What it prints with fmt is indented like
// the lines of a step.
type Technique struct {
	Name string // of the function
	File string // that it is in
	Run  func(ctx context.Context, cfg *rest.Config, namespace string) error
	// Meanwhile, if it is set, is somebody else, who changes things. It begins when the server has
	// answered the technique's first watch. Its context ends when the technique has returned.
	Meanwhile func(ctx context.Context, cfg *rest.Config, namespace string) error
	// Informers says that only informers watch in it, which wire.StopQuietly is for.
	Informers bool
}

// Step is one step of a lesson. Its number is printed and comes from the order alone.
type Step struct {
	Name   string // a word or two, for -step and for tests: lower case, with hyphens
	Title  string
	Claims string // the claims of docs/claims.md that it shows, such as "N1 N2"; printed with -claims
	Run    func(context.Context, *Run) error
	Needs  []string // names of earlier steps that -step must run too
}

// Run is what a step works with.
type Run struct {
	Config    *rest.Config // for the lesson's clients: change a copy (rest.CopyConfig)
	Namespace string       // made for this run; the only one that a lesson writes to

	out        *term.Printer
	claims     bool // print the claims that a step shows
	unattended bool // there is nobody to press Enter

	removed string // what became of the namespace; "" if that cannot be told
	left    error  // why it is left behind
}
