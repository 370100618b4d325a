package observer

import (
	"context"
	"iter"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// What says what a Change is.
type What string

// The changes of a request, in the order in which they happen. Events come with watches alone, and
// a request without an answer ends without one.
const (
	Began    What = "request"
	Answered What = "answer" // the answer's head
	Event    What = "event"  // of a watch
	Ended    What = "end"
)

// Change is one thing that happened to one request.
type Change struct {
	What What
	Time time.Time
	// Request is what was known of the request then. With an event it is what was known when the
	// request began.
	Request Request

	// EventType and Object belong to an Event. Object is nil when the event is about no object, or
	// when the observer was started without WithDetails.
	EventType watch.EventType
	Object    *Meta
	// Code is the status code of an event of type ERROR.
	Code int
}

// Follow returns the changes from now on, in the order in which they happened, as they happen. The
// sequence ends when ctx ends, or after the last change once the observer is closed. What a slow
// reader has not taken yet waits in memory; the observer waits for no reader.
func (o *Observer) Follow(ctx context.Context) iter.Seq[Change] {
	f := &follower{news: make(chan struct{}, 1)}
	o.journal.follow(f)
	return func(yield func(Change) bool) {
		defer o.journal.unfollow(f)
		for {
			changes, last := f.take()
			for _, change := range changes {
				if ctx.Err() != nil || !yield(change) {
					return
				}
			}
			if last {
				return
			}
			select {
			case <-f.news:
			case <-ctx.Done():
				return
			}
		}
	}
}

// follower holds the changes that one reader has not taken yet.
type follower struct {
	mu      sync.Mutex
	waiting []Change
	last    bool
	news    chan struct{}
}

func (f *follower) tell(change ...Change) {
	f.mu.Lock()
	f.waiting = append(f.waiting, change...)
	f.last = f.last || len(change) == 0
	f.mu.Unlock()
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// take returns what is waiting, and whether more can come.
func (f *follower) take() (changes []Change, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changes, f.waiting = f.waiting, nil
	return changes, f.last
}

func (j *journal) follow(f *follower) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.finished {
		f.tell()
		return
	}
	j.followers[f] = struct{}{}
}

func (j *journal) unfollow(f *follower) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.followers, f)
}

// tell hands a change to all followers. The journal is locked.
func (j *journal) tell(change Change) {
	if len(j.followers) == 0 {
		return
	}
	change.Time = time.Now()
	for f := range j.followers {
		f.tell(change)
	}
}

// finish tells the followers that nothing more comes.
func (j *journal) finish() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.finished = true
	for f := range j.followers {
		f.tell()
	}
}
