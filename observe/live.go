package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/advice"
	"client-go-lessons/internal/observer"
	"client-go-lessons/internal/term"
)

// live prints a line for each request and each event.
type live struct {
	out   *term.Printer
	start time.Time
}

func newLive(out *term.Printer, start time.Time) *live { return &live{out, start} }

func (l *live) close(end) error { return nil }

func (l *live) tell(c observer.Change) {
	r := c.Request
	switch {
	case c.What == observer.Answered && r.Status < http.StatusMultipleChoices && isStream(r):
		l.line(c.Time, strings.ToUpper(verbOf(r)), what(r), "open"+injected(r))
	case c.What == observer.Event:
		l.event(c)
	case c.What == observer.Ended:
		l.line(c.Time, strings.ToUpper(verbOf(r)), what(r), outcome(r))
	}
}

// line prints one line. An answer that is not as it should be is red.
func (l *live) line(at time.Time, verb, what, outcome string) {
	text := fmt.Sprintf("%9.3f  %-7s %-40s %s", at.Sub(l.start).Seconds(), verb, what, outcome)
	if bad(outcome) {
		text = l.out.Red(text)
	}
	l.out.Lines("", text)
}

func bad(outcome string) bool {
	return outcome != "" && (outcome[0] == '4' || outcome[0] == '5' || outcome[0] == 'n')
}

func (l *live) event(c observer.Change) {
	name, version := "", ""
	if c.Object != nil {
		name = strings.Trim(c.Object.Namespace+"/"+c.Object.Name, "/")
		version = "version " + c.Object.ResourceVersion
	}
	if c.Code != 0 {
		version = fmt.Sprint(c.Code, injected(c.Request))
	}
	what := strings.TrimSpace(c.Request.Resource + " " + name)
	text := fmt.Sprintf("%9.3f    %-8s %s  %s", c.Time.Sub(l.start).Seconds(), c.EventType, what, version)
	if c.EventType == watch.Error {
		text = l.out.Red(text)
	}
	l.out.Lines("", l.out.Dim(strings.TrimRight(text, " ")))
}

// isStream tells whether an answer goes on until somebody ends it.
func isStream(r observer.Request) bool {
	switch r.Subresource {
	case "exec", "attach", "portforward":
		return true
	case "log":
		return r.Query.Get("follow") == "true"
	}
	return r.Verb == "watch"
}

// outcome says how a request ended.
func outcome(r observer.Request) string {
	took := advice.Duration(r.Duration)
	switch {
	case r.Failure != "" && r.Status == 0:
		return "no answer: " + reason(r.Failure)
	case r.Status == 0:
		return "no answer in " + took + injected(r)
	case isStream(r) && r.Status < http.StatusMultipleChoices:
		by := map[observer.EndedBy]string{
			observer.ByServer: "ended by the server", observer.ByClient: "ended by the client",
			observer.ByFault: "ended by the fault", observer.ByLoss: "broken off",
		}[r.EndedBy]
		return fmt.Sprintf("%s after %s%s", by, took, injected(r))
	}
	return fmt.Sprintf("%d %9s %8s%s", r.Status, took, advice.Size(r.Bytes), injected(r))
}

func injected(r observer.Request) string {
	if r.Injected == "" {
		return ""
	}
	return "  injected: " + r.Injected
}

// reason is the last part of an error, which says why: "connection refused".
func reason(failure string) string {
	if i := strings.LastIndex(failure, ": "); i >= 0 {
		return failure[i+2:]
	}
	return failure
}

// verbOf is the verb of Kubernetes, or of HTTP for a path that names no resource.
func verbOf(r observer.Request) string {
	if r.Verb == "" {
		return r.Method
	}
	return r.Verb
}

// what names what a request is about: "configmaps/app in prod", or its path.
func what(r observer.Request) string {
	if r.Resource == "" {
		return r.Path
	}
	text := r.Resource
	if r.Name != "" {
		text += "/" + r.Name
	}
	if r.Subresource != "" {
		text += "/" + r.Subresource
	}
	if r.Namespace != "" && r.Resource != "namespaces" {
		text += " in " + r.Namespace
	}
	return text
}

// outage says once that the server cannot be reached, and once that it answers again.
type outage struct {
	out     *term.Printer
	address string
	down    bool
}

func (o *outage) close(end) error { return nil }

func (o *outage) tell(c observer.Change) {
	switch {
	case c.What == observer.Ended && c.Request.Failure != "" && c.Request.Status == 0 && !o.down:
		o.down = true
		o.out.Lines("", fmt.Sprintf("observe: the server at %s does not answer: %s.\n"+
			"The command sees broken connections until it is back. See: make status",
			o.address, reason(c.Request.Failure)))
	case c.What == observer.Answered && c.Request.Injected == "" && o.down:
		o.down = false
		o.out.Lines("", "observe: the server answers again.")
	}
}
