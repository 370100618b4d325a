package observer

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Fault is something that goes wrong with a request or with its answer. It
// takes effect for the requests that it is injected for; one value may be
// injected several times.
//
// Faults on a watch's events let an answer alone that is not a stream of
// watch events. Where several faults match a request, the one injected first
// is the nearest to the client.
type Fault struct {
	name string
	wrap func(http.Handler) http.Handler
}

// NewFault makes a fault of a test's own. The handler that wrap is given
// forwards the request to the API server; RequestOf tells which it is.
func NewFault(name string, wrap func(http.Handler) http.Handler) Fault {
	return Fault{name: name, wrap: wrap}
}

// Name returns what Request.Injected shows.
func (f Fault) Name() string {
	return f.name
}

// Match says which requests a fault is for. Empty fields match anything.
type Match struct {
	Verb, Resource, Namespace, Name string
	// Func is asked last, about the request as it was when it began.
	Func func(Request) bool
	// From and To are the first and the last occurrence to hit, counting from
	// 1 the requests that match all of the above since Inject. A zero leaves
	// that side open.
	From, To int
}

func (m Match) matches(r Request) bool {
	return (m.Verb == "" || m.Verb == r.Verb) &&
		(m.Resource == "" || m.Resource == r.Resource) &&
		(m.Namespace == "" || m.Namespace == r.Namespace) &&
		(m.Name == "" || m.Name == r.Name) &&
		(m.Func == nil || m.Func(r))
}

// Inject applies f to the requests that match m, from now on until remove is
// called. Requests under way are not touched by either.
func (o *Observer) Inject(m Match, f Fault) (remove func()) {
	added := &rule{match: m, fault: f}
	o.rules.change(func(list []*rule) []*rule { return append(list, added) })
	return func() {
		o.rules.change(func(list []*rule) []*rule {
			return slices.DeleteFunc(list, func(r *rule) bool { return r == added })
		})
	}
}

type rule struct {
	match Match
	fault Fault
	seen  atomic.Int64
}

// rules is a list that is replaced as a whole, so that it can be walked
// without a lock: a Match's Func may well read the record or inject.
type rules struct {
	mu   sync.Mutex
	list []*rule
}

func (r *rules) change(f func([]*rule) []*rule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = f(slices.Clone(r.list))
}

// matching counts the request as an occurrence of each rule that it matches
// and returns the faults whose turn it is.
func (r *rules) matching(request Request) []Fault {
	r.mu.Lock()
	list := r.list
	r.mu.Unlock()

	var faults []Fault
	for _, rule := range list {
		if !rule.match.matches(request) {
			continue
		}
		n := int(rule.seen.Add(1))
		if n >= rule.match.From && (rule.match.To == 0 || n <= rule.match.To) {
			faults = append(faults, rule.fault)
		}
	}
	return faults
}

func names(faults []Fault) string {
	var all []string
	for _, f := range faults {
		all = append(all, f.name)
	}
	return strings.Join(all, "+")
}

type requestKey struct{}

// RequestOf returns the request that a fault's handler serves, as it was when
// it began.
func RequestOf(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}

// pause waits for c or, when the request ends first, ends its handler.
func pause(ctx context.Context, c <-chan struct{}) {
	select {
	case <-c:
	case <-ctx.Done():
		panic(http.ErrAbortHandler)
	}
}

// flush sends what has been written. Nothing can be done about a failure: the
// next write to the client fails, too.
func flush(w http.ResponseWriter) {
	_ = http.NewResponseController(w).Flush()
}
