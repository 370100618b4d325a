package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"client-go-lessons/internal/advice"
	"client-go-lessons/internal/observer"
	"client-go-lessons/internal/term"
)

// report is what there is to say at one moment.
type report struct {
	requests, connections int
	advice                []advice.Advice
	lines                 []string // the tables and what stands around them
}

// report makes one of all that was seen until at. ended says that the command has ended.
func (s *summary) report(at time.Time, ended bool) *report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &report{requests: s.requests, connections: s.connections, advice: advice.Of(s.seen(at, ended))}
	add := func(format string, args ...any) { r.lines = append(r.lines, fmt.Sprintf(format, args...)) }

	if s.requests == 0 {
		add("observe: no request was seen in %s.", advice.Duration(at.Sub(s.start)))
		add("Either the command failed before it sent one, or it does not read KUBECONFIG: it may have a flag")
		add("of its own, such as --kubeconfig, or a cluster that it always takes.")
		return r
	}
	add("observe: %s, %s, %s, %s", advice.Duration(at.Sub(s.start)), count(s.requests, "request"),
		count(s.connections, "connection"), advice.Size(s.bytes))
	r.lines = append(r.lines, indent(term.Table(s.requestRows()...))...)
	if rows := s.watchRows(); len(rows) > 1 {
		add("")
		r.lines = append(r.lines, indent(term.Table(rows...))...)
	}
	add("")
	if s.inBusiest > 1 {
		add("  The busiest second had %s, at %s.", count(s.inBusiest, "request"), s.busiest.Format("15:04:05"))
	}
	if s.unanswered > 0 {
		add("  The server did not answer %s: %s.", count(s.unanswered, "request"), s.why)
	}
	if s.injected > 0 {
		add("  Faults were injected into %s.", count(s.injected, "request"))
	}
	if n := len(s.recent) + len(s.open); n < s.requests && len(r.advice) > 0 {
		add("  The advice is about the last %s requests.", advice.Number(n))
	}
	for strings.TrimSpace(r.lines[len(r.lines)-1]) == "" {
		r.lines = r.lines[:len(r.lines)-1]
	}
	return r
}

func indent(lines []string) []string {
	for i := range lines {
		lines[i] = "  " + lines[i]
	}
	return lines
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return advice.Number(n) + " " + noun
}

// requestRows is the table by resource and verb. What was asked for most is first.
func (s *summary) requestRows() [][]any {
	rows := [][]any{{"resource", "verb", "requests", "bytes", "p50", "slowest", "errors"}}
	for _, key := range slices.SortedFunc(maps.Keys(s.rows), func(a, b row) int {
		return cmp.Or(cmp.Compare(s.total(b.resource), s.total(a.resource)), cmp.Compare(a.resource, b.resource),
			cmp.Compare(s.rows[b].requests, s.rows[a].requests), cmp.Compare(a.verb, b.verb))
	}) {
		f := s.rows[key]
		p50, slowest := "-", "-"
		if f.ended > 0 {
			p50, slowest = advice.Duration(min(median(f.times), f.slowest)), advice.Duration(f.slowest)
		}
		rows = append(rows, []any{key.resource, key.verb, advice.Number(f.requests), advice.Size(f.bytes), p50, slowest, errorsOf(f.errors)})
	}
	return rows
}

func (s *summary) total(resource string) (sum int) {
	for key, f := range s.rows {
		if key.resource == resource {
			sum += f.requests
		}
	}
	return sum
}

func errorsOf(errors map[int]int) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(errors)) {
		what := fmt.Sprint(status)
		if status == 0 {
			what = "no answer"
		}
		parts = append(parts, fmt.Sprintf("%s × %s", advice.Number(errors[status]), what))
	}
	return strings.Join(parts, ", ")
}

// watchRows is the table of watches.
func (s *summary) watchRows() [][]any {
	rows := [][]any{{"watches on", "begun", "at once", "events", "lasted", "ended by"}}
	for _, key := range slices.SortedFunc(maps.Keys(s.watches), func(a, b watched) int {
		return cmp.Or(cmp.Compare(s.watches[b].begun, s.watches[a].begun), cmp.Compare(a.resource+a.namespace+a.selector, b.resource+b.namespace+b.selector))
	}) {
		w := s.watches[key]
		name := key.resource
		if key.namespace != "" {
			name += " in " + key.namespace
		}
		if key.selector != "" {
			name += " with " + key.selector
		}
		var ends []string
		for _, by := range []observer.EndedBy{observer.ByServer, observer.ByClient, observer.ByFault, observer.ByLoss} {
			if n := w.endedBy[by]; n > 0 {
				ends = append(ends, fmt.Sprintf("%s %d", by, n))
			}
		}
		if w.open > 0 {
			ends = append(ends, fmt.Sprintf("%d open", w.open))
		}
		lasted := "-"
		if len(w.times) > 0 {
			lasted = advice.Duration(median(w.times))
		}
		rows = append(rows, []any{term.Cut(name, 44), w.begun, w.most, advice.Number(w.events), lasted, strings.Join(ends, ", ")})
	}
	return rows
}

func selector(r observer.Request) string {
	return strings.Trim(r.Query.Get("labelSelector")+","+r.Query.Get("fieldSelector"), ",")
}

// rowName is the resource, with its group where that is not a built-in one, or the first part of a
// path that names no resource.
func rowName(r observer.Request) string {
	if r.Resource == "" {
		first, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
		return "/" + first
	}
	name := r.Resource
	if r.Subresource != "" {
		name += "/" + r.Subresource
	}
	if strings.Contains(r.APIGroup, ".") && !strings.HasSuffix(r.APIGroup, ".k8s.io") {
		name += "." + r.APIGroup
	}
	return name
}

// print writes the report, with numbered advice.
func (r *report) print(out *term.Printer) {
	out.Blank()
	for _, line := range r.lines {
		out.Lines("", line)
	}
	width := term.Width(os.Stderr)
	for i, a := range r.advice {
		out.Blank()
		number := fmt.Sprintf("%3d  ", i+1)
		for _, text := range a.Evidence {
			for line := range strings.Lines(term.Fold(text, width-5)) {
				out.Lines("", number+strings.TrimSuffix(line, "\n"))
				number = "     "
			}
		}
		if a.More > 0 {
			out.Lines("     ", fmt.Sprintf("And %s more of this kind.", advice.Number(a.More)))
		}
		if a.Injected {
			out.Lines("     ", "(A fault that was injected had a part in it.)")
		}
		out.Lines("     ", term.Fold(a.Do+" "+a.Page, width-5))
	}
}
