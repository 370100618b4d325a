package advice

import (
	"fmt"
	"net/http"
	"time"

	"client-go-lessons/internal/observer"
)

// sameWatch finds watches on one thing that were open at the same time.
func sameWatch(s Seen) (found []finding) {
	const overlap = 100 * time.Millisecond // a watch may end on the wire a moment after the next began
	watches := byScope(s.Requests, "watch")
	for _, scope := range watches.keys {
		most := 0
		all := watches.of[scope]
		for _, r := range all {
			open := 0
			for _, other := range all {
				if ok(other) && !other.Start.After(r.Start) && s.end(other).Sub(r.Start) > overlap {
					open++
				}
			}
			if s.end(r).Sub(r.Start) > overlap {
				most = max(most, open)
			}
		}
		if most < 2 {
			continue
		}
		text := fmt.Sprintf("%d watches on %s were open at the same time", most, scope)
		if scope.labels == "" && scope.fields == "" {
			text += ", all without a selector"
		}
		found = append(found, finding{most, text + ".", false})
	}
	return found
}

// initial tells whether a watch begins with what there is, and a bookmark after that.
func initial(r observer.Request) bool { return r.Query.Get("sendInitialEvents") == "true" }

// watchFromNowhere finds watches that begin at no version, though an earlier list or watch gave one.
func watchFromNowhere(s Seen) (found []finding) {
	asked := byScope(s.Requests, "list", "watch")
	for _, scope := range asked.keys {
		n, before := 0, false
		for _, r := range asked.of[scope] {
			version := r.Query.Get("resourceVersion")
			if r.Verb == "watch" && before && !initial(r) && (version == "" || version == "0") {
				n++
			}
			before = before || ok(r)
		}
		if n > 0 {
			found = append(found, finding{n, fmt.Sprintf("%s on %s began at no version, after a list or a watch that gave one.",
				count(n, "watch", "watches"), scope), false})
		}
	}
	return found
}

// restlessWatch finds watches that end, again and again, and begin anew without a pause. Those that
// the client ends itself are its own affair.
func restlessWatch(s Seen) (found []finding) {
	const fewest, short = 5, time.Second
	watches := byScope(s.Requests, "watch")
	for _, scope := range watches.keys {
		all := watches.of[scope]
		var run, best []observer.Request
		for i, r := range all {
			if i > 0 && r.Start.Sub(s.end(all[i-1])) > short {
				run = nil
			}
			if r.Open || r.Duration > short || r.EndedBy == observer.ByClient && r.ErrorCode == 0 {
				run = nil
				continue
			}
			if run = append(run, r); len(run) > len(best) {
				best = run
			}
		}
		n := len(best)
		if n < fewest {
			continue
		}
		took := s.end(best[n-1]).Sub(best[0].Start)
		found = append(found, finding{n, fmt.Sprintf("%d watches on %s began and ended within %s, none lasted a second.",
			n, scope, Duration(took)), anyInjected(best)})
	}
	return found
}

func isGone(r observer.Request) bool {
	return r.Status == http.StatusGone || r.ErrorCode == http.StatusGone
}

// goneAgain finds watches that were told 410, and the next one asked for the same version.
func goneAgain(s Seen) (found []finding) {
	asked := byScope(s.Requests, "list", "watch")
	for _, scope := range asked.keys {
		n, version := 0, ""
		var gone *observer.Request
		injected := true
		for _, r := range asked.of[scope] {
			if gone != nil && r.Verb == "watch" && r.Query.Get("resourceVersion") == gone.Query.Get("resourceVersion") && !initial(r) {
				n++
				version = r.Query.Get("resourceVersion")
				injected = injected && gone.Injected != ""
			}
			gone = nil
			if r.Verb == "watch" && isGone(r) {
				gone = &r
			}
		}
		if n > 0 {
			found = append(found, finding{n, fmt.Sprintf("410 was the answer to a watch on %s, and the next one asked for version %q again: %s.",
				scope, version, count(n, "time", "times")), injected})
		}
	}
	return found
}
