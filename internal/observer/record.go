package observer

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// Request is what was seen of one request up to the moment of asking.
type Request struct {
	// ID counts the observer's requests from 1, in the order they began.
	ID    int
	Start time.Time
	// Duration is the time to the end of the answer, or until now while Open.
	Duration time.Duration

	// Verb is list, get, watch, create, update, patch, delete or
	// deletecollection; "" when the path names no resource.
	Verb        string
	Method      string // of HTTP
	Path        string
	APIGroup    string
	Namespace   string
	Resource    string // in the plural, as in the path: configmaps
	Name        string
	Subresource string
	// Query is shared between snapshots and must not be changed.
	Query     url.Values
	UserAgent string
	Accept    string

	// Conn is the number of the client's TCP connection, from 1.
	Conn int
	// Proto is HTTP/2.0 or HTTP/1.1.
	Proto string

	// Status is 0 as long as there is no answer.
	Status int
	// Header is the answer's, nil as long as there is none. It is shared
	// between snapshots and must not be changed.
	Header http.Header
	// Bytes is the length of the answer's body as handed to the client, in
	// bytes: before decompression, without what HTTP and TLS add.
	Bytes int64
	// Events counts a watch's events that were handed to the client.
	Events map[watch.EventType]int

	// Open says that the answer has not ended. A client that has read all of
	// an answer may have done so a moment before the observer notices.
	Open bool
	// EndedBy says who ended the answer, "" while Open.
	EndedBy EndedBy
	// Failure is why the API server gave no answer or broke one off, "" if it did neither.
	Failure string
	// Injected names the faults that were applied, joined by "+".
	Injected string

	// The following are known only to an observer that was started WithDetails.

	// Sent is the metadata of the object that a create, an update or a patch sends, and Got that of
	// the one object in the answer, once the answer has ended. Either may be nil.
	Sent, Got *Meta
	// SentBytes is the length of the body of a create, an update or a patch.
	SentBytes int64
	// Hash is of the whole body that answers a get or a list, 0 when there is none. Within one
	// process, equal hashes are equal answers.
	Hash uint64
	// ErrorCode is the status code of a watch's event of type ERROR, such as 410.
	ErrorCode int
}

// EndedBy says who ended an answer.
type EndedBy string

// Who may end an answer.
const (
	ByServer EndedBy = "server" // in good order
	ByClient EndedBy = "client" // stopped reading, or went away
	ByFault  EndedBy = "fault"  // was injected
	ByLoss   EndedBy = "loss"   // of the connection to the server
)

// String returns the request on one line, for a failing test's log.
func (r Request) String() string {
	what := strings.TrimSpace(r.Verb + " " + r.Resource)
	if what == "" {
		what = r.Path
	}
	if r.Subresource != "" {
		what += "/" + r.Subresource
	}
	if r.Name != "" {
		what += " " + r.Name
	}
	line := fmt.Sprintf("#%d %s ns=%q conn=%d %s status=%d bytes=%d", r.ID, what, r.Namespace, r.Conn, r.Proto, r.Status, r.Bytes)
	for _, t := range slices.Sorted(maps.Keys(r.Events)) {
		line += fmt.Sprintf(" %s=%d", t, r.Events[t])
	}
	if r.Open {
		line += " open"
	}
	if r.Injected != "" {
		line += fmt.Sprintf(" injected=%q", r.Injected)
	}
	return line
}

// Mark is a point in an observer's record.
type Mark struct {
	requests, conns int
}

// Mark returns the present end of the record.
func (o *Observer) Mark() Mark {
	return o.journal.mark()
}

// Since returns a snapshot of all requests begun since m. Bytes, events and
// status are in the record before the client can see them; that an answer has
// ended is not: see Wait.
func (o *Observer) Since(m Mark) Record {
	record, _ := o.journal.since(m)
	return record
}

// Wait returns the record since m as soon as done is true of it, or an error
// that shows the record when ctx ends first. It is how a test waits for an
// end that the observer sees only after the client: a closed stream, say.
// Every change is shown to done, so it should be quick.
func (o *Observer) Wait(ctx context.Context, m Mark, done func(Record) bool) (Record, error) {
	for {
		record, changed := o.journal.since(m)
		if done(record) {
			return record, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return record, fmt.Errorf("observer: what was waited for did not come: %w; seen:\n%s", context.Cause(ctx), record)
		}
	}
}

// Record is a part of what an observer saw.
type Record struct {
	Requests []Request
	// Opened is the number of TCP connections that clients opened since the
	// mark, also by requests that a filter has taken out of Requests.
	Opened int
}

// Where returns the record of those requests for which keep is true.
func (r Record) Where(keep func(Request) bool) Record {
	kept := Record{Opened: r.Opened}
	for _, request := range r.Requests {
		if keep(request) {
			kept.Requests = append(kept.Requests, request)
		}
	}
	return kept
}

// Verb returns the record of requests with this verb on this resource; an
// empty string stands for any.
func (r Record) Verb(verb, resource string) Record {
	return r.Where(func(q Request) bool {
		return (verb == "" || q.Verb == verb) && (resource == "" || q.Resource == resource)
	})
}

// Open returns the record of requests whose answer has not ended.
func (r Record) Open() Record {
	return r.Where(func(q Request) bool { return q.Open })
}

// Count returns the number of requests.
func (r Record) Count() int {
	return len(r.Requests)
}

// Connections returns how many TCP connections carried these requests,
// whether they were opened since the mark or before.
func (r Record) Connections() int {
	seen := make(map[int]struct{})
	for _, request := range r.Requests {
		seen[request.Conn] = struct{}{}
	}
	return len(seen)
}

// Bytes returns the sum of the answers' bodies, in bytes.
func (r Record) Bytes() int64 {
	var sum int64
	for _, request := range r.Requests {
		sum += request.Bytes
	}
	return sum
}

// Events returns the sum of the watches' events by type.
func (r Record) Events() map[watch.EventType]int {
	sum := make(map[watch.EventType]int)
	for _, request := range r.Requests {
		for t, n := range request.Events {
			sum[t] += n
		}
	}
	return sum
}

// String returns the record with one line a request.
func (r Record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests, %d connections opened\n", len(r.Requests), r.Opened)
	for _, request := range r.Requests {
		fmt.Fprintln(&b, request)
	}
	return b.String()
}
