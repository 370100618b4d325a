package soak

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report adds up the runs of a soak.
type Report struct {
	Seed       uint64
	Provider   string
	Kubernetes string
	Took       time.Duration
	Parallel   int

	Runs     map[string]map[Outcome]int // by lesson
	Faults   map[string]int             // requests hit, by kind
	Mild     int                        // runs that had to succeed
	LogLines int                        // of client-go's own

	Failures         []Failure
	SaidLeft         int      // namespaces that could not be deleted, and whose lesson said so
	KilledLeft       int      // namespaces that killed lessons left
	LeakedNamespaces []string // left without a word
	LeakedRoutines   int      // runs whose lesson left goroutines
	TestRoutines     [2]int   // goroutines of the soak itself, in the beginning and in the end
	Server           []Server // what the API server's process holds, from the beginning to the end
}

// Server is what the API server's process tells of itself in /metrics. On the local provider it is
// all of the control plane.
type Server struct {
	After      time.Duration
	ResidentMB int // memory, with the pages of etcd's file that it has mapped
	HeapMB     int // Go heap in use
	StorageMB  int // etcd's file, which keeps its size when what is in it goes
	Goroutines int
}

// Failure is a run that went wrong.
type Failure struct {
	Plan   string
	Run    int
	Wrong  []string
	Folder string // where its output is
}

// Add adds a run. failed is nil unless the run went wrong.
func (r *Report) Add(p Plan, o Outcome, hits map[string]int, failed *Failure) {
	if r.Runs == nil {
		r.Runs, r.Faults = map[string]map[Outcome]int{}, map[string]int{}
	}
	if r.Runs[p.Lesson] == nil {
		r.Runs[p.Lesson] = map[Outcome]int{}
	}
	if p.Mild() {
		r.Mild++
	}
	for kind, n := range hits {
		r.Faults[kind] += n
	}
	if failed != nil {
		r.Failures = append(r.Failures, *failed)
		o = "wrong"
	}
	r.Runs[p.Lesson][o]++
}

// Good tells whether nothing went wrong.
func (r *Report) Good() bool { return len(r.Failures)+len(r.LeakedNamespaces) == 0 }

// Total counts the runs of all lessons, those with this outcome, or all for "".
func (r *Report) Total(o Outcome) (n int) {
	for _, outcomes := range r.Runs {
		for outcome, k := range outcomes {
			if o == "" || o == outcome {
				n += k
			}
		}
	}
	return n
}

// Line says in one line how far the soak is.
func (r *Report) Line(took time.Duration) string {
	var parts []string
	for _, o := range Outcomes {
		parts = append(parts, fmt.Sprintf("%d %s", r.Total(o), o))
	}
	return fmt.Sprintf("soak: %s, %d runs: %s, %d wrong", took.Round(time.Second), r.Total(""),
		strings.Join(parts, ", "), len(r.Failures))
}

// Markdown is the report as a part of a page.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs in %s, %d at a time, on %s, Kubernetes %s, seed %d:\n\n",
		r.Total(""), r.Took.Round(time.Second), r.Parallel, r.Provider, r.Kubernetes, r.Seed)
	b.WriteString("| lesson | runs | survived | failed clearly | interrupted | killed | wrong |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|\n")
	for _, lesson := range slices.Sorted(maps.Keys(r.Runs)) {
		o := r.Runs[lesson]
		all := 0
		for _, n := range o {
			all += n
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d |\n",
			lesson, all, o[Survived], o[Failed], o[Interrupted], o[Killed], o["wrong"])
	}
	fmt.Fprintf(&b, "| all | %d | %d | %d | %d | %d | %d |\n\n", r.Total(""), r.Total(Survived),
		r.Total(Failed), r.Total(Interrupted), r.Total(Killed), r.Total("wrong"))
	fmt.Fprintf(&b, "%d of the runs met nothing but mild faults, and had to succeed.\n\n", r.Mild)

	b.WriteString("| left behind | |\n|---|--:|\n")
	fmt.Fprintf(&b, "| namespaces, without a word | %d |\n", len(r.LeakedNamespaces))
	fmt.Fprintf(&b, "| namespaces whose deletion a fault refused, named with the command that removes them | %d |\n", r.SaidLeft)
	fmt.Fprintf(&b, "| namespaces of lessons that were killed | %d of %d |\n", r.KilledLeft, r.Total(Killed))
	fmt.Fprintf(&b, "| lessons that left goroutines | %d |\n", r.LeakedRoutines)
	b.WriteString("\n| control plane after | resident | of it Go heap | etcd's file | goroutines |\n|--:|--:|--:|--:|--:|\n")
	for _, s := range r.Server {
		fmt.Fprintf(&b, "| %s | %d MB | %d MB | %d MB | %d |\n",
			s.After.Round(time.Second), s.ResidentMB, s.HeapMB, s.StorageMB, s.Goroutines)
	}
	b.WriteString("\n")

	b.WriteString("| fault | requests hit |\n|---|--:|\n")
	byCount := func(x, y string) int { return cmp.Or(r.Faults[y]-r.Faults[x], strings.Compare(x, y)) }
	for _, kind := range slices.SortedFunc(maps.Keys(r.Faults), byCount) {
		fmt.Fprintf(&b, "| %s | %d |\n", kind, r.Faults[kind])
	}
	return b.String()
}
