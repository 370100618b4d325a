package advice

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/observer"
)

// scope is what a list or a watch asks for. Two with the same scope bring the same objects, and two
// programs are kept apart by what they call themselves.
type scope struct {
	group, resource, namespace, name, labels, fields string
	metadataOnly                                     bool
	client                                           string
}

func scopeOf(r observer.Request) scope {
	return scope{
		group: r.APIGroup, resource: r.Resource, namespace: r.Namespace, name: r.Name,
		labels: r.Query.Get("labelSelector"), fields: r.Query.Get("fieldSelector"),
		metadataOnly: strings.Contains(r.Accept, "as=PartialObjectMetadata"), client: r.UserAgent,
	}
}

// String names the scope in a sentence: `configmaps in "prod" with app=shop`.
func (s scope) String() string {
	text := s.resource
	if s.name != "" {
		text += "/" + s.name
	}
	if s.namespace != "" {
		text += fmt.Sprintf(" in %q", s.namespace)
	}
	if selectors := strings.Trim(s.labels+","+s.fields, ","); selectors != "" {
		text += " with " + selectors
	}
	return text
}

// object names the one object that a request is about: configmaps/app.
func object(r observer.Request) string {
	name := r.Resource + "/" + r.Name
	if r.Subresource != "" {
		name += "/" + r.Subresource
	}
	return name
}

// groups are requests that belong together, in the order in which the first of each group began.
type groups[K comparable] struct {
	keys []K
	of   map[K][]observer.Request
}

func groupBy[K comparable](requests []observer.Request, key func(observer.Request) (K, bool)) groups[K] {
	g := groups[K]{of: map[K][]observer.Request{}}
	for _, r := range requests {
		k, ok := key(r)
		if !ok {
			continue
		}
		if g.of[k] == nil {
			g.keys = append(g.keys, k)
		}
		g.of[k] = append(g.of[k], r)
	}
	return g
}

// byScope groups the requests with one of these verbs by what they ask for.
func byScope(requests []observer.Request, verbs ...string) groups[scope] {
	return groupBy(requests, func(r observer.Request) (scope, bool) {
		return scopeOf(r), slices.Contains(verbs, r.Verb) && r.Subresource == ""
	})
}

// byPath groups the requests with one of these verbs by their object.
func byPath(requests []observer.Request, verbs ...string) groups[string] {
	return groupBy(requests, func(r observer.Request) (string, bool) {
		return r.Path, slices.Contains(verbs, r.Verb)
	})
}

func ok(r observer.Request) bool { return r.Status >= 200 && r.Status < 300 }

func isConflict(r observer.Request) bool { return r.Status == http.StatusConflict }

// end is when an answer ended, or the end of what was seen while it has not.
func (s Seen) end(r observer.Request) time.Time {
	if r.Open {
		return s.End
	}
	return r.Start.Add(r.Duration)
}

// openAtEnd tells whether a watch was open until the program ended. The end of the program ends its
// watches a moment before the program's end is known.
func (s Seen) openAtEnd(r observer.Request) bool {
	const moment = 250 * time.Millisecond
	return r.Open || s.Ended && r.EndedBy == observer.ByClient && s.End.Sub(s.end(r)) < moment
}

// often tells whether n requests between two moments are many for that time.
func often(n int, first, last observer.Request) bool {
	return n >= 5 && last.Start.Sub(first.Start) <= time.Duration(n)*30*time.Second
}

// every says how far apart n+1 requests were on average.
func every(n int, first, last observer.Request) string {
	return Duration(last.Start.Sub(first.Start) / time.Duration(max(1, n)))
}

func anyInjected(requests []observer.Request) bool {
	return slices.ContainsFunc(requests, func(r observer.Request) bool { return r.Injected != "" })
}

// told returns when a watch of this resource first brought an event of an object, and false if none
// did.
func (s Seen) told(r observer.Request, name string) (time.Time, bool) {
	for _, c := range s.Events {
		if c.What == observer.Event && c.EventType == watch.Added && c.Object != nil &&
			c.Object.Name == name && c.Object.Namespace == r.Namespace &&
			c.Request.Resource == r.Resource && c.Request.APIGroup == r.APIGroup {
			return c.Time, true
		}
	}
	return time.Time{}, false
}
