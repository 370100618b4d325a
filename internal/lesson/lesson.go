// Package lesson is what all lessons share and no lesson teaches: flags, finding the cluster, a
// namespace that is made for the run and deleted after it, the look of the output, and errors that
// say what to do.
//
// A lesson calls [Main] with its steps. Each step gets a [Run]: the config to make clients from,
// the namespace, and functions that print.
package lesson

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

// Lesson describes a lesson.
type Lesson struct {
	Name  string // its folder below lessons/, such as "01-direct"
	Title string // the first line of its output
	About string // the line below it: what it teaches. -h says it, too

	ConfigMaps []*corev1.ConfigMap // made in the namespace before the first step

	Setup func(context.Context, *Run) error // runs before the steps, whichever are asked for
	Steps []Step
	Sum   func(*Run) // says what was learned, after the last step
	Close func()     // frees what Setup and the steps hold, before the namespace is deleted
}

// Step is one numbered step of a lesson.
type Step struct {
	Title  string
	Claims string // the numbers of the claims it shows, such as "N1 N2"
	Run    func(context.Context, *Run) error
	Needs  []int // numbers of earlier steps that -step must run too
}

// Run is what a step works with.
type Run struct {
	Config    *rest.Config // for the lesson's clients: change a copy (rest.CopyConfig)
	Context   string       // the kubeconfig context in use
	Namespace string       // made for this run; the only one that a lesson writes to
	Version   string       // the server's, such as v1.37.1

	out        *printer
	unattended bool // there is nobody to press Enter

	removed bool  // the namespace was deleted
	left    error // or why not
}
