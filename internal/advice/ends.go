package advice

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/observer"
)

// watchEnded finds a watch that the server ended, after which the program went on without one.
func watchEnded(s Seen) (found []finding) {
	const soon = 2 * time.Second
	asked := byScope(s.Requests, "list", "watch")
	for _, scope := range asked.keys {
		all := asked.of[scope]
		last := all[len(all)-1]
		if last.Verb != "watch" || !ok(last) || last.Open || last.EndedBy == observer.ByClient || s.End.Sub(s.end(last)) < soon {
			continue
		}
		events := 0
		for _, n := range last.Events {
			events += n
		}
		found = append(found, finding{1, fmt.Sprintf("The watch on %s ended after %s. None followed in the %s until the end.",
			scope, count(events, "event", "events"), Duration(s.End.Sub(s.end(last)))), last.Injected != ""})
	}
	return found
}

// watchKept finds watches of one resource that were begun one after another, each when the one
// before had brought something, and that all stayed open. Those of a program that watches several
// namespaces begin together.
func watchKept(s Seen) (found []finding) {
	const fewest = 5
	type kind struct{ group, resource, client string }
	kinds := groupBy(s.Requests, func(r observer.Request) (kind, bool) {
		return kind{r.APIGroup, r.Resource, r.UserAgent}, r.Verb == "watch" && ok(r) && s.openAtEnd(r)
	})
	first := map[int]time.Time{} // event of each watch
	for _, c := range s.Events {
		if _, told := first[c.Request.ID]; c.What == observer.Event && !told {
			first[c.Request.ID] = c.Time
		}
	}
	for _, k := range kinds.keys {
		n := 1
		var before observer.Request
		for i, r := range kinds.of[k] {
			if at, told := first[before.ID]; i > 0 && told && at.Before(r.Start) {
				n++
			}
			before = r
		}
		if n >= fewest {
			found = append(found, finding{n, fmt.Sprintf("%d watches on %s were begun one after another, and none was stopped.",
				n, k.resource), false})
		}
	}
	return found
}

// unsynced finds a program that ended before it had the state that it asked for: its copy was never
// filled.
func unsynced(s Seen) (found []finding) {
	if !s.Ended {
		return nil
	}
	for _, r := range waitingForBookmark(s) {
		if s.openAtEnd(r) {
			found = append(found, finding{1, fmt.Sprintf("The program ended before its copy of %s was filled, %s after it had asked for it.",
				scopeOf(r), Duration(s.end(r).Sub(r.Start))), r.Injected != ""})
		}
	}
	return found
}

// stuckSync finds a copy that waits for long for the bookmark that says it is whole.
func stuckSync(s Seen) (found []finding) {
	const long = 10 * time.Second
	for _, r := range waitingForBookmark(s) {
		if waited := s.end(r).Sub(r.Start); waited >= long && len(r.Events) > 0 {
			found = append(found, finding{int(waited / time.Second), fmt.Sprintf("A watch on %s brought no bookmark in %s, so the copy is not whole.",
				scopeOf(r), Duration(waited)), r.Injected != ""})
		}
	}
	return found
}

// waitingForBookmark are, of each scope, the last watch that began with what there is and that was
// never told that this was all.
func waitingForBookmark(s Seen) (waiting []observer.Request) {
	watches := byScope(s.Requests, "watch")
	for _, scope := range watches.keys {
		all := watches.of[scope]
		last := all[len(all)-1]
		if initial(last) && (ok(last) || last.Status == 0) && last.Events[watch.Bookmark] == 0 {
			waiting = append(waiting, last)
		}
	}
	return waiting
}
