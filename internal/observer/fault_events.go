package observer

import (
	"fmt"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/watch"
)

// The faults in this file act on the events of a watch, at the boundaries
// between them.

// CutAfterEvents breaks off a watch's stream with an error after n whole
// events; with 0, as soon as the answer has begun. The connection lives on,
// and client-go reports the broken stream as an event of type ERROR with
// reason InternalError before it closes the channel.
func CutAfterEvents(n int) Fault {
	return afterEvents(fmt.Sprintf("cut after %d events", n), n, func(*eventWriter) {
		panic(http.ErrAbortHandler)
	})
}

// ResetAfterEvents resets the client's TCP connection, with all its streams,
// after n whole events. To client-go this is a watch that just ends. A client
// may find fewer than n events: a reset overtakes what is on its way.
func ResetAfterEvents(n int) Fault {
	return afterEvents(fmt.Sprintf("reset after %d events", n), n, func(*eventWriter) {
		panic(errResetConnection)
	})
}

// EndAfterEvents ends a watch after n events without an error, as the API
// server does when the watch's time is up.
func EndAfterEvents(n int) Fault {
	return afterEvents(fmt.Sprintf("end after %d events", n), n, func(*eventWriter) {
		panic(errEndAnswer)
	})
}

// ExpireAfterEvents sends, after n events, an event of type ERROR with a
// status of code 410 and reason Expired, in the stream's own encoding, and
// ends the watch. It is what the API server does when a watch that has begun
// cannot keep up.
func ExpireAfterEvents(n int) Fault {
	return afterEvents(fmt.Sprintf("410 after %d events", n), n, func(w *eventWriter) {
		status := expired()
		raw, err := encodeEvent(w.frames.mediaType, watch.Error, &status)
		if err != nil {
			panic(fmt.Errorf("observer: encoding an event: %w", err))
		}
		_, _ = w.ResponseWriter.Write(raw)
		flush(w.ResponseWriter)
		panic(errEndAnswer)
	})
}

// GarbageAfterEvents puts, after n events, a frame into the stream that no
// client can decode, and goes on.
func GarbageAfterEvents(n int) Fault {
	return afterEvents(fmt.Sprintf("garbage after %d events", n), n, func(w *eventWriter) {
		garbage := []byte("}garbage{\n")
		switch w.frames.mediaType {
		case "application/vnd.kubernetes.protobuf":
			// A frame of one byte, a field number that does not exist.
			garbage = []byte{0, 0, 0, 1, 0}
		case "application/cbor":
			// A "break" has no place outside a list of indefinite length.
			garbage = []byte{0xff}
		}
		_, _ = w.ResponseWriter.Write(garbage)
		flush(w.ResponseWriter)
	})
}

// OnlyEvents drops from a watch all events but those of the given types.
func OnlyEvents(types ...watch.EventType) Fault {
	return onEvents(fmt.Sprintf("only events %v", types), func(w *eventWriter) {
		w.keep = func(f frame) bool { return slices.Contains(types, f.event) }
	})
}

// BookmarksOnly drops all events but bookmarks. An informer that syncs by a
// streaming watch then takes the cluster for empty.
func BookmarksOnly() Fault {
	return OnlyEvents(watch.Bookmark)
}

func afterEvents(name string, n int, act func(*eventWriter)) Fault {
	return onEvents(name, func(w *eventWriter) { w.n, w.act = n, act })
}

// onEvents makes a fault of what setup enters into an eventWriter.
func onEvents(name string, setup func(*eventWriter)) Fault {
	return NewFault(name, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			events := &eventWriter{ResponseWriter: w, request: RequestOf(r.Context())}
			setup(events)
			// The API server compresses a watch that begins with a list, from
			// 1.37 on, and a compressed stream shows no events.
			r = r.Clone(r.Context())
			r.Header.Del("Accept-Encoding")
			next.ServeHTTP(events, r)
			events.finish()
		})
	})
}

// eventWriter passes a watch on event by event. Half an event waits until it
// is whole, which costs a client nothing: it could not use the half.
type eventWriter struct {
	http.ResponseWriter
	request Request
	// frames is nil when the answer is not a stream of watch events.
	frames *splitter
	seen   int

	// keep says whether an event is passed on; nil passes on all.
	keep func(frame) bool
	// act is called once, when n events have been passed on.
	act func(*eventWriter)
	n   int
}

// Unwrap lets an http.ResponseController flush the client's side.
func (w *eventWriter) Unwrap() http.ResponseWriter {
	return w.ResponseWriter
}

// WriteHeader sends the answer's head.
func (w *eventWriter) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	w.frames = eventSplitter(w.request, status, w.Header())
	w.actWhenDue()
}

// Write sends the events that p completes.
func (w *eventWriter) Write(p []byte) (int, error) {
	if w.frames == nil {
		return w.ResponseWriter.Write(p)
	}
	for _, f := range w.frames.push(p) {
		if w.keep != nil && !w.keep(f) {
			continue
		}
		if _, err := w.ResponseWriter.Write(f.raw); err != nil {
			return 0, err
		}
		w.seen++
		w.actWhenDue()
	}
	return len(p), nil
}

func (w *eventWriter) actWhenDue() {
	if w.frames == nil || w.act == nil || w.seen != w.n {
		return
	}
	act := w.act
	w.act = nil
	// What has been passed on must arrive, also if act breaks the stream.
	flush(w.ResponseWriter)
	act(w)
}

// finish passes on what the server left unfinished.
func (w *eventWriter) finish() {
	if w.frames != nil && len(w.frames.rest) > 0 && w.keep == nil {
		_, _ = w.ResponseWriter.Write(w.frames.rest)
	}
}
