// Package soak plans the runs of a soak test and judges how they went: which lesson runs, what goes
// wrong meanwhile, and whether the lesson did the right thing about it. It starts no process and
// needs no cluster, so that it can be tested by itself; TestSoak of package e2e does the rest.
package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Plan is one run. It follows from the seed and the number of the run alone, so that a run can be
// repeated without those before it.
type Plan struct {
	Seed    uint64
	Run     int
	Lesson  string
	HTTP1   bool // the server speaks nothing newer
	Faults  []Fault
	Signal  Signal
	Timeout time.Duration // given to the lesson
}

// Fault is something that goes wrong with some of the lesson's requests.
type Fault struct {
	Kind           string
	Verb, Resource string // of the requests; "" is any
	From, To       int    // which of them, counted from 1
	N              int    // events or bytes that pass first
	Wait           time.Duration
	// Mild says that client-go, used as it should be, gets over it: the lesson must do so as well.
	Mild bool
}

// Signal is sent to the lesson when its request number At arrives. The zero Signal is none.
type Signal struct {
	Name string // INT, TERM or KILL
	At   int
}

const (
	// patience is how long a lesson may take that is to come to its end: more than the two minutes
	// that it gives itself, since a busy machine makes it slow, and slow is not wrong.
	patience = 5 * time.Minute
	// impatience is for lessons that wait for what will never come.
	impatience = 30 * time.Second
)

// New makes the plan of one run.
func New(seed uint64, run int, lessons []string) Plan {
	rng := rand.New(rand.NewPCG(seed, uint64(run)))
	p := Plan{Seed: seed, Run: run, Lesson: lessons[rng.IntN(len(lessons))], Timeout: patience}
	// A third of the runs meet nothing but mild faults, and so must succeed.
	mildOnly := rng.IntN(3) == 0
	p.HTTP1 = rng.IntN(12) == 0
	many := 1 + rng.IntN(4)
	if rng.IntN(12) == 0 {
		many = 0 // that all is well is also tested
	}
	for range many {
		f := draw(rng, p.Lesson, mildOnly)
		p.Faults = append(p.Faults, f)
		if endless[f.Kind] {
			p.Timeout = impatience
		}
	}
	if !mildOnly {
		switch at := 1 + rng.IntN(total(p.Lesson)); rng.IntN(20) {
		case 0, 1:
			p.Signal = Signal{"INT", at}
		case 2:
			p.Signal = Signal{"TERM", at}
		case 3:
			p.Signal = Signal{"KILL", at}
		}
	}
	return p
}

// draw chooses a kind of fault, and requests that it can happen to.
func draw(rng *rand.Rand, lesson string, mildOnly bool) Fault {
	var k kind
	var able []target
	for len(able) == 0 { // there are faults for every lesson, and mild ones
		k = kinds[rng.IntN(len(kinds))]
		for _, t := range targetsOf(lesson) {
			if (k.can == nil || k.can(t)) && (!mildOnly || k.mild != nil && k.mild(lesson, t)) {
				able = append(able, t)
			}
		}
	}
	t := able[rng.IntN(len(able))]
	f := Fault{Kind: k.name, Verb: t.verb, Resource: t.resource, From: 1 + rng.IntN(t.count)}
	f.To = f.From
	if k.draw != nil {
		k.draw(rng, lesson, &f)
	}
	f.Mild = k.mild != nil && k.mild(lesson, t)
	return f
}

// Mild tells whether the lesson must come to its end as if nothing had happened.
func (p Plan) Mild() bool {
	for _, f := range p.Faults {
		if !f.Mild {
			return false
		}
	}
	return p.Signal == Signal{}
}

func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %d: %s -timeout %s", p.Run, p.Lesson, p.Timeout)
	if p.HTTP1 {
		fmt.Fprintf(&b, "; %s", http1)
	}
	for _, f := range p.Faults {
		fmt.Fprintf(&b, "; %s", f)
	}
	if p.Signal.Name != "" {
		fmt.Fprintf(&b, "; SIG%s at request %d", p.Signal.Name, p.Signal.At)
	}
	if p.Mild() {
		b.WriteString(" (mild)")
	}
	return b.String()
}

func (f Fault) String() string {
	what := strings.TrimSpace(f.Verb + " " + f.Resource)
	if what == "" {
		what = "request"
	}
	s := fmt.Sprintf("%s at %s %d", f.Kind, what, f.From)
	if f.To != f.From {
		s += fmt.Sprintf(" to %d", f.To)
	}
	if f.N > 0 {
		s += fmt.Sprintf(", after %d", f.N)
	}
	if f.Wait > 0 {
		s += fmt.Sprintf(", for %s", f.Wait)
	}
	return s
}

// target is a sort of request, and how many of it a lesson makes, about.
type target struct {
	verb, resource string
	count          int
}

// every lesson makes these.
var every = []target{
	{"create", "namespaces", 1}, {"list", "namespaces", 1}, {"delete", "namespaces", 1},
	{"create", "configmaps", 3}, {"", "", 20},
}

var byLesson = map[string][]target{
	"01-direct": {
		{"get", "configmaps", 120}, {"list", "configmaps", 55}, {"list", "flowschemas", 1},
		{"", "", 190},
	},
	"02-watch": {
		{"get", "configmaps", 3}, {"list", "configmaps", 11}, {"watch", "configmaps", 16},
		{"create", "configmaps", 4}, {"update", "configmaps", 12}, {"delete", "configmaps", 2},
		{"", "", 55},
	},
	"03-informer": {
		{"get", "configmaps", 103}, {"list", "configmaps", 1}, {"watch", "configmaps", 9},
		{"create", "configmaps", 260}, {"update", "configmaps", 4}, {"delete", "configmaps", 2},
		{"", "", 390},
	},
	"04-fallback": {
		{"get", "configmaps", 330}, {"list", "configmaps", 2}, {"watch", "configmaps", 1},
		{"create", "configmaps", 75}, {"update", "configmaps", 700}, {"", "", 1100},
	},
}

func targetsOf(lesson string) []target {
	return append(append([]target{}, every...), byLesson[lesson]...)
}

// total is about how many requests the lesson makes.
func total(lesson string) int {
	n := 0
	for _, t := range targetsOf(lesson) {
		if t.verb == "" {
			n = max(n, t.count)
		}
	}
	return n
}
