// Package faults says, as data, what a learner must see when the cluster misbehaves: which fault, in
// which lesson, with which outcome. TestFaults of e2e runs the table, TestSoak draws rows of it at
// random, and docs/reliability.md shows it.
package faults

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"client-go-lessons/internal/observer"
)

// Column is a way of reading, and the step of a lesson that reads so.
type Column struct{ Name, Lesson, Step string }

// Columns are tried under each fault.
var Columns = [5]Column{
	{"List, Get", "01-direct", "list"},
	{"Watch", "02-watch", "watch"},
	{"RetryWatcher", "02-watch", "retry-watcher"},
	{"informer", "03-informer", "handlers"},
	{"informer and writes", "04-fallback", "create"},
}

// Row is one thing that goes wrong, and what comes of it in each column.
type Row struct {
	Name  string // in the words of the page
	Fault Fault
	Cells [5]Cell
}

// Fault is what goes wrong. More than one of its fields may be set.
type Fault struct {
	Injections []Injection // from the start
	HTTP1      bool        // the server speaks nothing newer
	Act        Act         // done to the cluster, or to the lesson, when it comes to the step
	Env        string      // a variable that the lesson finds in its environment
	Left       bool        // the namespace cannot be deleted
}

// Injection is a fault of the observer's and the requests that it is for.
type Injection struct {
	Match observer.Match
	Fault observer.Fault
}

// Act is something that happens besides what is injected into requests.
type Act int

// What can happen.
const (
	Nothing           Act = iota
	NewCertificate        // the server comes back with another certificate of the same authority
	NewAuthority          // the server comes back with a certificate that nobody here trusts
	NamespaceDeleting     // somebody deletes the lesson's namespace
	NamespaceDeleted      // as well, and then it is gone
)

// Outcome is what the learner sees of a fault.
type Outcome int

// What may come of a fault.
const (
	NotApplicable Outcome = iota // the step does nothing that the fault could hit
	Survives                     // exit code 0, every step printed, nothing false said
	Fails                        // exit code 1, two lines that say what failed and what to do
	Hangs                        // likewise, once the -timeout that it is given is over
)

// Cell is the outcome in one column.
type Cell struct {
	Outcome Outcome
	Says    string // is in the error, or in the output of a step that survives
	Step    string // instead of the column's
}

// window is the -timeout of what hangs: enough to come to the step on a busy machine.
const window = 15 * time.Second

// Timeout is the -timeout that the lesson is given, 0 for a far one.
func (c Cell) Timeout() time.Duration {
	if c.Outcome == Hangs {
		return window
	}
	return 0
}

var (
	none     = Cell{}
	survives = Cell{Outcome: Survives}
	hangs    = Cell{Outcome: Hangs, Says: "it hung"}
)

func fails(says string) Cell       { return Cell{Outcome: Fails, Says: says} }
func (c Cell) in(step string) Cell { c.Step = step; return c }

// Case is a cell with its row and column.
type Case struct {
	Row    Row
	Column Column
	Cell   Cell
}

// Cases are those of a section that can be run.
func (s Section) Cases() (cases []Case) {
	for _, row := range s.Rows {
		for i, cell := range row.Cells {
			column := Columns[i]
			if cell.Step != "" {
				column.Step = cell.Step
			}
			if cell.Outcome != NotApplicable {
				cases = append(cases, Case{row, column, cell})
			}
		}
	}
	return cases
}

// Name tells cases apart.
func (c Case) Name() string {
	return fmt.Sprintf("%s, %s -step %s", c.Row.Name, c.Column.Lesson, c.Column.Step)
}

// Slow tells whether a case takes its time: make e2e-faults runs it, make e2e the others.
func (c Case) Slow() bool { return c.Cell.Outcome == Hangs || c.Column.Step == Whole }

// Mild tells whether client-go, used in whatever way, gets over it.
func (r Row) Mild() bool {
	for _, cell := range r.Cells {
		if cell.Outcome != Survives {
			return false
		}
	}
	return r.Fault.Act == Nothing
}

// Markdown is the table as docs/reliability.md shows it.
func Markdown() string {
	var b strings.Builder
	rows, count := 0, map[Outcome]int{}
	for _, section := range Sections {
		rows += len(section.Rows)
		for _, c := range section.Cases() {
			count[c.Cell.Outcome]++
		}
	}
	fmt.Fprintf(&b, "%d faults, tried in %d steps of lessons: %d survive, %d fail clearly, %d of those by -timeout.\n",
		rows, count[Survives]+count[Fails]+count[Hangs], count[Survives], count[Fails]+count[Hangs], count[Hangs])
	for _, section := range Sections {
		fmt.Fprintf(&b, "\n### %s\n\n|what goes wrong", section.Name)
		for _, column := range Columns {
			b.WriteString("|" + column.Name)
		}
		b.WriteString("|the learner reads|\n|" + strings.Repeat("---|", len(Columns)+2) + "\n")
		for _, row := range section.Rows {
			b.WriteString("|" + row.Name)
			var says []string
			for _, cell := range row.Cells {
				b.WriteString("|" + cell.text())
				if quoted := "`" + cell.Says + "`"; cell.Outcome == Fails && !slices.Contains(says, quoted) {
					says = append(says, quoted)
				}
			}
			b.WriteString("|" + strings.Join(says, " or ") + "|\n")
		}
	}
	return b.String()
}

func (c Cell) text() string {
	text := map[Outcome]string{NotApplicable: "–", Survives: "survives", Fails: "fails", Hangs: "waits"}[c.Outcome]
	if c.Step != "" && c.Step != Whole {
		text += " (" + c.Step + ")"
	}
	return text
}
