package main

import (
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"client-go-lessons/internal/observer"
)

// summary adds up what is seen. Its report can be asked for at any time.
type summary struct {
	mu          sync.Mutex
	start       time.Time
	requests    int
	connections int
	bytes       int64
	unanswered  int
	why         string // the last reason for no answer
	rows        map[row]*figures
	watches     map[watched]*watching
	second      time.Time // that requests are counted in
	inSecond    int
	busiest     time.Time
	inBusiest   int
	injected    int

	first  int // ID of recent[0]
	recent []observer.Request
	open   map[int]observer.Request // still open, and too old for recent
	events []observer.Change
}

// row is a line of the report's first table.
type row struct{ resource, verb string }

// figures are of requests of one kind.
type figures struct {
	requests int
	bytes    int64
	errors   map[int]int // by status; 0 is no answer
	slowest  time.Duration
	times    map[int]int // how many took how long, by bucket; see bucketOf
	ended    int
}

// watched is what watches are grouped by.
type watched struct{ resource, namespace, selector string }

// watching are the figures of watches on one thing.
type watching struct {
	begun, open, most, events int
	times                     map[int]int
	endedBy                   map[observer.EndedBy]int
}

func newSummary(start time.Time) *summary {
	return &summary{start: start, first: 1, rows: map[row]*figures{}, watches: map[watched]*watching{}, open: map[int]observer.Request{}}
}

// A bucket holds times that differ by 2% at most: half of them are at most so far from the median.
const bucketWidth = 1.02

func bucketOf(d time.Duration) int {
	return int(math.Floor(math.Log(float64(max(d, 1))) / math.Log(bucketWidth)))
}

// median is that of the times in the buckets, to 2%.
func median(times map[int]int) time.Duration {
	all, buckets := 0, []int{}
	for bucket, n := range times {
		all += n
		buckets = append(buckets, bucket)
	}
	slices.Sort(buckets)
	seen := 0
	for _, bucket := range buckets {
		if seen += times[bucket]; 2*seen >= all {
			return time.Duration(math.Pow(bucketWidth, float64(bucket)+0.5))
		}
	}
	return 0
}

func (s *summary) close(end) error { return nil }

func (s *summary) tell(c observer.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(c)
	switch r := c.Request; c.What {
	case observer.Began:
		s.began(r)
	case observer.Answered:
		if r.Verb == "watch" && r.Status == http.StatusOK {
			w := s.watching(r)
			w.begun++
			w.open++
			w.most = max(w.most, w.open)
		}
	case observer.Event:
		s.watching(r).events++
	case observer.Ended:
		s.ended(r)
	}
}

func (s *summary) began(r observer.Request) {
	s.requests++
	s.connections = max(s.connections, r.Conn)
	if r.Injected != "" {
		s.injected++
	}
	if second := r.Start.Truncate(time.Second); !second.Equal(s.second) {
		s.second, s.inSecond = second, 0
	}
	if s.inSecond++; s.inSecond > s.inBusiest {
		s.busiest, s.inBusiest = s.second, s.inSecond
	}
	s.figures(r).requests++
}

func (s *summary) ended(r observer.Request) {
	f := s.figures(r)
	f.bytes += r.Bytes
	s.bytes += r.Bytes
	if r.Status >= http.StatusBadRequest || r.Status == 0 && r.EndedBy != observer.ByClient {
		f.errors[r.Status]++
	}
	if r.Failure != "" && r.Status == 0 {
		s.unanswered++
		s.why = reason(r.Failure)
	}
	if r.Verb == "watch" && r.Status == http.StatusOK {
		w := s.watching(r)
		w.open--
		w.endedBy[r.EndedBy]++
		w.times[bucketOf(r.Duration)]++
		return
	}
	if !isStream(r) {
		f.ended++
		f.times[bucketOf(r.Duration)]++
		f.slowest = max(f.slowest, r.Duration)
	}
}

func (s *summary) figures(r observer.Request) *figures {
	key := row{rowName(r), verbOf(r)}
	if s.rows[key] == nil {
		s.rows[key] = &figures{errors: map[int]int{}, times: map[int]int{}}
	}
	return s.rows[key]
}

func (s *summary) watching(r observer.Request) *watching {
	key := watched{r.Resource, r.Namespace, selector(r)}
	if s.watches[key] == nil {
		s.watches[key] = &watching{times: map[int]int{}, endedBy: map[observer.EndedBy]int{}}
	}
	return s.watches[key]
}
