// Package faults says, as data, what a learner must see when the cluster misbehaves: which fault,
// in which lesson, with which outcome. The tests in e2e run the table; docs/reliability.md shows it.
package faults

import (
	"fmt"
	"strings"
	"time"

	"client-go-lessons/internal/observer"
)

// Lessons are the table's columns.
var Lessons = [4]string{"01-direct", "02-watch", "03-informer", "04-fallback"}

// Row is one thing that goes wrong.
type Row struct {
	Name string // in the words of the page
	// Slow rows take longer than ten seconds; make e2e-faults runs them.
	Slow bool
	// HTTP1 takes HTTP/2 away between the lesson and the server.
	HTTP1 bool
	// Faults are injected from the start, unless the case has its own.
	Faults []Injection
	// Cases are those of each lesson, in the order of Lessons.
	Cases [4][]Case
}

// Injection is a fault and the requests that it is for.
type Injection struct {
	Match observer.Match
	Fault observer.Fault
}

// Outcome is what the learner sees of a fault.
type Outcome int

// The three things that may come of a fault.
const (
	Survives      Outcome = iota // exit code 0, every step printed, nothing false said
	Fails                        // exit code 1, one or two lines that say what failed and what to do
	NotApplicable                // the lesson does nothing that this fault could hit
)

// Case is one lesson, or one step of it with what it needs, under the row's fault.
type Case struct {
	Outcome Outcome
	Step    int // 0 is the whole lesson
	// Says must be in the error of a lesson that fails, and in the output of one that survives. It
	// is the reason where a fault is not applicable.
	Says string
	// Within is the -timeout that the lesson is given; 0 is none.
	Within time.Duration
	// Faults are injected in place of the row's.
	Faults []Injection
	// Act is done while the lesson waits at its prompt of this number, counted from 1.
	Act    Act
	Prompt int
	// Left says that the fault keeps the namespace from being deleted.
	Left bool
}

// Act is something that happens to the cluster in the middle of a lesson.
type Act int

// What can happen besides what is injected into requests.
const (
	Nothing           Act = iota
	NewCertificate        // the server comes back with another certificate of the same authority
	NewAuthority          // the server comes back with a certificate that nobody here trusts
	NamespaceDeleting     // somebody deletes the lesson's namespace
	NamespaceDeleted      // as well, and then it is gone
)

// survives, fails and na make cases; the methods below add to them.
func survives(step int) Case           { return Case{Outcome: Survives, Step: step} }
func fails(step int, says string) Case { return Case{Outcome: Fails, Step: step, Says: says} }
func na(why string) []Case             { return []Case{{Outcome: NotApplicable, Says: why}} }

func (c Case) saying(text string) Case         { c.Says = text; return c }
func (c Case) within(limit time.Duration) Case { c.Within = limit; return c }
func (c Case) under(faults ...Injection) Case  { c.Faults = faults; return c }
func (c Case) when(act Act, prompt int) Case   { c.Act, c.Prompt = act, prompt; return c }
func (c Case) leaving() Case                   { c.Left = true; return c }

// Name tells the cases of one row and lesson apart.
func (c Case) Name() string {
	if c.Step == 0 {
		return "whole"
	}
	return fmt.Sprintf("step %d", c.Step)
}

// Markdown is the table as docs/reliability.md shows it.
func Markdown() string {
	var b strings.Builder
	rows, count := 0, map[Outcome]int{}
	for _, section := range Sections {
		for _, row := range section.Rows {
			rows++
			for _, cases := range row.Cases {
				for _, c := range cases {
					count[c.Outcome]++
				}
			}
		}
	}
	fmt.Fprintf(&b, "%d faults were tried, each on four lessons: %d runs of a lesson or of a step survive, %d fail\nclearly; "+
		"for %d lessons the fault makes no sense, and the table says why.\n\n",
		rows, count[Survives], count[Fails], count[NotApplicable])
	for _, section := range Sections {
		fmt.Fprintf(&b, "### %s\n\n| what goes wrong |", section.Name)
		for _, lesson := range Lessons {
			fmt.Fprintf(&b, " %s |", lesson)
		}
		b.WriteString("\n|---|---|---|---|---|\n")
		for _, row := range section.Rows {
			fmt.Fprintf(&b, "| %s |", row.Name)
			for _, cases := range row.Cases {
				fmt.Fprintf(&b, " %s |", cell(cases))
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// cell says what comes of the cases of one lesson. Steps that end alike share a line.
func cell(cases []Case) string {
	var lines []string
	for len(cases) > 0 {
		first, n := cases[0], 1
		steps := fmt.Sprint(first.Step)
		for n < len(cases) && first.Step > 0 && cases[n].Outcome == first.Outcome && cases[n].Says == first.Says {
			steps += ", " + fmt.Sprint(cases[n].Step)
			n++
		}
		cases = cases[n:]

		survives, fails := "survives", "fails clearly"
		switch {
		case n > 1:
			survives, fails = "steps "+steps+" survive", "steps "+steps+" fail clearly"
		case first.Step > 0:
			survives, fails = "step "+steps+" survives", "step "+steps+" fails clearly"
		}
		switch first.Outcome {
		case Survives:
			lines = append(lines, survives)
		case Fails:
			lines = append(lines, fails+": `"+first.Says+"`")
		case NotApplicable:
			lines = append(lines, "not applicable: "+first.Says)
		}
	}
	return strings.Join(lines, "<br>")
}
