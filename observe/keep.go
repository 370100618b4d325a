package main

import (
	"net/http"
	"slices"
	"time"

	"client-go-lessons/internal/advice"
	"client-go-lessons/internal/observer"
)

// kept is how many of the latest requests, and of the latest events, the advice looks at. With a
// limit, observe needs no more memory the longer it runs.
const kept = 10_000

// keep remembers the latest requests and events.
func (s *summary) keep(c observer.Change) {
	r := c.Request
	if c.What == observer.Event {
		if s.events = append(s.events, c); len(s.events) > 2*kept {
			s.events = slices.Clone(s.events[kept:])
		}
		return
	}
	r.Header = essential(r.Header)
	switch i := r.ID - s.first; {
	case c.What == observer.Began:
		if s.recent = append(s.recent, r); len(s.recent) > 2*kept {
			for _, old := range s.recent[:kept] {
				if old.Open {
					s.open[old.ID] = old
				}
			}
			s.recent, s.first = slices.Clone(s.recent[kept:]), s.first+kept
		}
	case i >= 0:
		s.recent[i] = r
	case r.Open:
		s.open[r.ID] = r
	default:
		delete(s.open, r.ID)
	}
}

// essential are the headers that the advice reads.
func essential(h http.Header) http.Header {
	if h == nil {
		return nil
	}
	few := http.Header{}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Retry-After"} {
		if value := h.Get(name); value != "" {
			few.Set(name, value)
		}
	}
	return few
}

// seen is what the advice looks at.
func (s *summary) seen(at time.Time, ended bool) advice.Seen {
	seen := advice.Seen{Events: slices.Clone(s.events), End: at, Ended: ended}
	for _, r := range s.open {
		seen.Requests = append(seen.Requests, r)
	}
	slices.SortFunc(seen.Requests, func(a, b observer.Request) int { return a.ID - b.ID })
	seen.Requests = append(seen.Requests, s.recent...)
	return seen
}
