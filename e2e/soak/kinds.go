package soak

import (
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"client-go-lessons/internal/observer"
)

// kind is a kind of fault.
type kind struct {
	name string
	can  func(target) bool                           // which requests it can happen to; nil is all
	mild func(lesson string, t target) bool          // nil is never
	draw func(r *rand.Rand, lesson string, f *Fault) // chooses the rest; nil leaves it
	// fault makes it. One that happens at a moment, and not to a request, does something to the
	// observer when the request arrives, by atRequest.
	fault func(Fault, *observer.Observer) observer.Fault
}

// http1 is the one kind that is not a fault of the observer's but a way to start it.
const http1 = "HTTP/1.1 only"

// Kinds are the names of all kinds.
func Kinds() []string {
	names := []string{http1}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// What client-go gets over by itself. A 429 with Retry-After it repeats; a GET whose connection is
// reset, too, and nothing else: so a reset is mild where nothing but GETs are under way. A watch of an
// informer has no such moment: it shares the connection with whatever the lesson writes. Watches of
// informers it begins anew, whatever ends them.
func always(string, target) bool { return true }

func ofInformers(lesson string, t target) bool {
	return t.verb == "watch" && (lesson == "03-informer" || lesson == "04-fallback")
}

func idempotent(lesson string, t target) bool {
	reads := t.resource == "configmaps" && (t.verb == "get" || t.verb == "list")
	return reads && lesson != "04-fallback"
}

func watches(t target) bool { return t.verb == "watch" }
func answers(t target) bool { return t.verb != "watch" }

// events draws after how many events of a watch something happens: often before the first one, as
// many watches see few.
func events(r *rand.Rand, lesson string, f *Fault) {
	most := map[string]int{"02-watch": 3, "03-informer": 10}[lesson]
	if lesson == "04-fallback" { // its one watch sees all that happens
		most = 700
	}
	if f.N = r.IntN(most + 1); r.IntN(2) == 0 {
		f.N = 0
	}
}

func bytes(r *rand.Rand, _ string, f *Fault) { f.N = []int{0, 1, 10, 100, 1000}[r.IntN(5)] }

func some(r *rand.Rand, _ string, f *Fault) { f.To = f.From + r.IntN(3) }

func wait(most time.Duration) func(*rand.Rand, string, *Fault) {
	return func(r *rand.Rand, _ string, f *Fault) {
		f.Wait = (1 + time.Duration(r.IntN(10))) * most / 10
	}
}

var kinds = []kind{
	{name: "429 with Retry-After", mild: always, draw: some,
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.TooManyRequests(time.Second) }},
	{name: "429", mild: ofInformers,
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.TooManyRequests(0) }},
	{name: "500", mild: ofInformers,
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.ServerError() }},
	{name: "503", mild: ofInformers,
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.Unavailable() }},
	{name: "403", draw: some,
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.Forbidden() }},
	{name: "404",
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.NotFound() }},
	{name: "404 for the namespace", can: func(t target) bool { return t.resource == "configmaps" },
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.NamespaceNotFound() }},
	{name: "410", mild: ofInformers, can: watches,
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.Expired() }},
	{name: "410 in the stream", mild: ofInformers, can: watches, draw: events,
		fault: func(f Fault, _ *observer.Observer) observer.Fault { return observer.ExpireAfterEvents(f.N) }},
	{name: "watch cut", mild: ofInformers, can: watches, draw: events,
		fault: func(f Fault, _ *observer.Observer) observer.Fault { return observer.CutAfterEvents(f.N) }},
	{name: "watch reset", can: watches, draw: events,
		fault: func(f Fault, _ *observer.Observer) observer.Fault { return observer.ResetAfterEvents(f.N) }},
	{name: "watch ended", mild: ofInformers, can: watches, draw: events,
		fault: func(f Fault, _ *observer.Observer) observer.Fault { return observer.EndAfterEvents(f.N) }},
	{name: "garbage in the stream", mild: ofInformers, can: watches, draw: events,
		fault: func(f Fault, _ *observer.Observer) observer.Fault { return observer.GarbageAfterEvents(f.N) }},
	{name: "bookmarks only", can: watches,
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.BookmarksOnly() }},
	{name: "silent answer",
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.Silent() }},
	{name: "no answer",
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.NeverAnswer() }},
	{name: "delay", mild: always, draw: func(r *rand.Rand, lesson string, f *Fault) {
		wait(time.Second)(r, lesson, f)
		some(r, lesson, f)
	}, fault: func(f Fault, _ *observer.Observer) observer.Fault { return observer.Delay(f.Wait) }},
	{name: "answer held", mild: always, can: answers, draw: wait(2 * time.Second),
		fault: func(f Fault, o *observer.Observer) observer.Fault {
			gate := observer.NewGate()
			o.Inject(f.match(), atRequest("held", func() { time.AfterFunc(f.Wait, gate.Open) }))
			return observer.HoldAnswer(gate)
		}},
	{name: "watches held", mild: always, draw: wait(2 * time.Second),
		fault: func(f Fault, o *observer.Observer) observer.Fault {
			gate := observer.NewGate()
			gate.Open()
			o.Inject(observer.Match{Verb: "watch"}, observer.HoldBody(gate))
			return atRequest("watches held", func() {
				gate.Shut()
				time.AfterFunc(f.Wait, gate.Open)
			})
		}},
	{name: "reset at once", mild: idempotent,
		fault: func(Fault, *observer.Observer) observer.Fault { return observer.ResetAtOnce() }},
	{name: "reset in the answer", can: answers, draw: bytes,
		fault: func(f Fault, _ *observer.Observer) observer.Fault { return observer.ResetAfterBytes(int64(f.N)) }},
	{name: "answer aborted", can: answers, draw: bytes,
		fault: func(f Fault, _ *observer.Observer) observer.Fault { return observer.AbortAfterBytes(int64(f.N)) }},
	{name: "answer truncated", can: answers, draw: bytes,
		fault: func(f Fault, _ *observer.Observer) observer.Fault { return observer.Truncate(int64(f.N)) }},
	{name: "new certificate", mild: idempotent,
		fault: func(_ Fault, o *observer.Observer) observer.Fault {
			return atRequest("new certificate", func() { _ = o.RotateCertificate(true) })
		}},
	{name: "another cluster's certificate",
		fault: func(_ Fault, o *observer.Observer) observer.Fault {
			return atRequest("another cluster's certificate", func() { _ = o.RotateCertificate(false) })
		}},
	{name: "connections closed", mild: idempotent,
		fault: func(_ Fault, o *observer.Observer) observer.Fault {
			return atRequest("connections closed", o.CloseConnections)
		}},
	{name: "watches aborted", mild: func(lesson string, t target) bool {
		return t.verb != "watch" && (lesson == "03-informer" || lesson == "04-fallback")
	}, fault: func(_ Fault, o *observer.Observer) observer.Fault {
		return atRequest("watches aborted", func() {
			o.Abort(func(r observer.Request) bool { return r.Verb == "watch" })
		})
	}},
	{name: "everything aborted",
		fault: func(_ Fault, o *observer.Observer) observer.Fault {
			return atRequest("everything aborted", func() {
				o.Abort(func(observer.Request) bool { return true })
			})
		}},
}

// endless are the kinds that a lesson gets out of by its own deadline alone.
var endless = map[string]bool{"bookmarks only": true, "silent answer": true, "no answer": true}

// breaking are the kinds in which a request may be lost before the observer has seen it.
var breaking = []string{"watch reset", "reset at once", "reset in the answer", "new certificate",
	"another cluster's certificate", "connections closed", "everything aborted"}

// atRequest does something when a request arrives, and lets the request go on.
func atRequest(name string, do func()) observer.Fault {
	return observer.NewFault(name, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			do()
			next.ServeHTTP(w, r)
		})
	})
}

func (f Fault) match() observer.Match {
	return observer.Match{Verb: f.Verb, Resource: f.Resource, From: f.From, To: f.To}
}

var signals = map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill}

// Inject puts the plan's faults into an observer, and has the signal sent when its time has come.
// What it returns tells from the record how many requests each kind of fault has hit.
func (p Plan) Inject(o *observer.Observer, send func(os.Signal)) (hits func(observer.Record) map[string]int) {
	names := make([]string, len(p.Faults))
	for n, f := range p.Faults {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == f.Kind })
		made := kinds[i].fault(f, o)
		o.Inject(f.match(), made)
		names[n] = made.Name()
	}
	if s, ok := signals[p.Signal.Name]; ok {
		o.Inject(observer.Match{From: p.Signal.At, To: p.Signal.At},
			atRequest("SIG"+p.Signal.Name, func() { send(s) }))
	}
	return func(record observer.Record) map[string]int {
		hits := map[string]int{}
		for _, request := range record.Requests {
			injected := strings.Split(request.Injected, "+")
			for n, f := range p.Faults {
				if slices.Contains(injected, names[n]) {
					hits[f.Kind]++
				}
			}
		}
		if p.HTTP1 {
			hits[http1] = len(record.Requests)
		}
		return hits
	}
}
