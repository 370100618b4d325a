package lesson

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/term"
)

// indent stands before what a step prints.
const indent = "   "

// Say prints a line of a step, formatted as fmt.Sprintf does.
func (r *Run) Say(format string, args ...any) {
	r.out.Lines(indent, fmt.Sprintf(format, args...))
}

// Wire prints what a step did on the network, as counted.
func (r *Run) Wire(counted any) {
	r.out.Lines(indent, r.out.Dim(fmt.Sprintf("wire: %v", counted)))
}

// Table prints rows in aligned columns, the first row being their headings. Columns of numbers,
// except the first column, which names the row, are aligned to the right.
func (r *Run) Table(rows ...[]any) { r.out.Table(indent, rows...) }

// Duration writes d with two significant digits, as in "2.0 s", "41 ms" or "0.16 µs".
func Duration(d time.Duration) string { return term.Duration(d) }

func (r *Run) header(l Lesson, c *cluster.Cluster, opts options) {
	r.out.Lines("", r.out.Bold(fmt.Sprintf("Lesson %s · %s", number(l), l.Title)))
	if l.About != "" {
		r.out.Lines("", l.About)
	}
	r.out.Lines("", fmt.Sprintf("cluster    %s · Kubernetes %s", c.Context, c.Version))
	r.out.Lines("", fmt.Sprintf("           %s · %s", c.Address(), c.Source))
	fate := "deleted at the end"
	if opts.keep {
		fate = "kept (-keep)"
	}
	r.out.Lines("", fmt.Sprintf("namespace  %s, made for this run, %s", r.Namespace, fate))
}

// kept tells how to look at the namespace that was not deleted.
func (r *Run) kept(c *cluster.Cluster) {
	r.out.Blank()
	r.out.Lines("", fmt.Sprintf("Kept: %s -n %s get configmaps", c.Kubectl(), r.Namespace))
	r.out.Lines("", "A lesson that runs more than an hour from now removes it.")
}

func (r *Run) heading(n int, s Step) {
	title := fmt.Sprintf("%-2d %s", n, s.Title)
	line := r.out.Bold(title)
	if r.claims && s.Claims != "" {
		gap := max(2, term.Columns-utf8.RuneCountInString(title)-len(s.Claims))
		line += strings.Repeat(" ", gap) + s.Claims
	}
	r.out.Blank()
	r.out.Lines("", line)
}
