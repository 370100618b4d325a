package observer

import (
	"bufio"
	"context"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// journal is the record as it is being written.
type journal struct {
	mu      sync.Mutex
	entries []*entry
	begun   int // requests, those included that are not kept
	conns   int
	closed  bool
	// forgetful keeps no entries: who follows the record has them.
	forgetful bool
	details   bool
	followers map[*follower]struct{}
	finished  bool
	// changed is closed and replaced whenever something changes.
	changed chan struct{}
}

// entry is one request in the journal, guarded by the journal's lock except
// for snapshot, which is what was known when the request began.
type entry struct {
	Request
	snapshot Request
	cancel   context.CancelFunc
}

func newJournal(o options) *journal {
	return &journal{
		forgetful: o.withoutRecord, details: o.details,
		followers: make(map[*follower]struct{}), changed: make(chan struct{}),
	}
}

// update changes the journal and wakes those who wait for a change.
func (j *journal) update(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
	close(j.changed)
	j.changed = make(chan struct{})
}

// touch wakes those who wait, for a change outside the journal.
func (j *journal) touch() {
	j.update(func() {})
}

func (j *journal) opened(conn int) {
	j.update(func() { j.conns = conn })
}

func (j *journal) close() {
	j.update(func() { j.closed = true })
}

// begin adds a request and calls begun under the lock, or returns nil when
// the journal is closed.
func (j *journal) begin(request Request, cancel context.CancelFunc, begun func()) *entry {
	var e *entry
	j.update(func() {
		if j.closed {
			return
		}
		begun()
		j.begun++
		request.ID = j.begun
		e = &entry{Request: request, snapshot: request, cancel: cancel}
		if !j.forgetful {
			j.entries = append(j.entries, e)
		}
		j.tell(Change{What: Began, Request: request})
	})
	return e
}

func (j *journal) answered(e *entry, status int, header http.Header) {
	j.update(func() {
		e.Status, e.Header = status, header
		j.tell(Change{What: Answered, Request: e.copy()})
	})
}

func (j *journal) wrote(e *entry, bytes int, frames []frame) {
	j.update(func() {
		e.Bytes += int64(bytes)
		for _, f := range frames {
			if e.Events == nil {
				e.Events = make(map[watch.EventType]int)
			}
			e.Events[f.event]++
			if f.code != 0 {
				e.ErrorCode = f.code
			}
			j.tell(Change{What: Event, Request: e.snapshot, EventType: f.event, Object: f.meta, Code: f.code})
		}
	})
}

// failed notes why the API server gave no answer, or not all of one.
func (j *journal) failed(e *entry, err error) {
	j.update(func() { e.Failure = err.Error() })
}

func (j *journal) end(e *entry, by EndedBy, got *Meta, hash uint64) {
	j.update(func() {
		e.Open = false
		e.Duration = time.Since(e.Start)
		e.EndedBy, e.Got, e.Hash = by, got, hash
		j.tell(Change{What: Ended, Request: e.copy()})
	})
}

func (j *journal) abort(match func(Request) bool) int {
	j.mu.Lock()
	var open []*entry
	var requests []Request
	for _, e := range j.entries {
		if e.Open {
			open = append(open, e)
			requests = append(requests, e.copy())
		}
	}
	j.mu.Unlock()

	// The lock is not held here: match may well read the record.
	aborted := 0
	for i, e := range open {
		if match(requests[i]) {
			e.cancel()
			aborted++
		}
	}
	return aborted
}

func (j *journal) mark() Mark {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Mark{requests: len(j.entries), conns: j.conns}
}

// since returns what happened since m, and a channel that is closed at the
// next change.
func (j *journal) since(m Mark) (Record, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	record := Record{Opened: j.conns - m.conns}
	for _, e := range j.entries[m.requests:] {
		record.Requests = append(record.Requests, e.copy())
	}
	return record, j.changed
}

// copy returns the request so that later changes do not show in it. Query and
// Header are not copied: they are never changed once they are set.
func (e *entry) copy() Request {
	request := e.Request
	request.Events = maps.Clone(e.Events)
	if request.Open {
		request.Duration = time.Since(request.Start)
	}
	return request
}

// recorder writes an answer to the client and into the journal. It enters
// bytes before it hands them over, so that a client can never have seen what
// the record does not hold.
type recorder struct {
	http.ResponseWriter
	journal *journal
	entry   *entry
	frames  *splitter
	started bool
	body    *body // nil when the answer is not looked into
}

// Unwrap lets an http.ResponseController flush the client's side.
func (w *recorder) Unwrap() http.ResponseWriter {
	return w.ResponseWriter
}

// Hijack hands over the connection of an answer that changes the protocol.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.started = true
	w.journal.answered(w.entry, http.StatusSwitchingProtocols, http.Header{})
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// WriteHeader sends the answer's head.
func (w *recorder) WriteHeader(status int) {
	if status >= http.StatusOK && !w.started {
		w.started = true
		w.journal.answered(w.entry, status, w.Header().Clone())
		w.frames = eventSplitter(w.entry.snapshot, status, w.Header())
		if w.journal.details {
			w.body = newBody(w.entry.snapshot, status, w.Header())
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the answer's body.
func (w *recorder) Write(p []byte) (int, error) {
	if !w.started {
		w.WriteHeader(http.StatusOK)
	}
	var frames []frame
	if w.frames != nil {
		frames = w.frames.push(p)
	}
	w.look(p, frames)
	w.journal.wrote(w.entry, len(p), frames)
	n, err := w.ResponseWriter.Write(p)
	if n < len(p) {
		w.journal.wrote(w.entry, n-len(p), nil)
	}
	return n, err
}
