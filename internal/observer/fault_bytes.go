package observer

import (
	"errors"
	"fmt"
	"net/http"
)

// The faults in this file break an answer without regard to what is in it.

// ResetAtOnce resets the client's TCP connection instead of forwarding the
// request. All other streams on that connection break with it. A client that
// was writing at that moment may read an unexpected EOF instead of the reset.
func ResetAtOnce() Fault {
	return NewFault("reset at once", func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic(errResetConnection)
		})
	})
}

// ResetAfterBytes resets the client's TCP connection when n bytes of the
// answer's body have been sent; with 0, when its head has. The API server has
// carried the request out by then. A shorter answer passes unharmed. A client
// may find fewer than n bytes: a reset overtakes what is on its way.
func ResetAfterBytes(n int64) Fault {
	return afterBytes(fmt.Sprintf("reset after %d bytes", n), n, errResetConnection)
}

// AbortAfterBytes is ResetAfterBytes for the one HTTP/2 stream: the
// connection and its other streams live on. On HTTP/1.1 the connection is
// closed.
func AbortAfterBytes(n int64) Fault {
	return afterBytes(fmt.Sprintf("abort after %d bytes", n), n, http.ErrAbortHandler)
}

// Truncate ends an answer after n bytes of its body as if that were all. The
// Content-Length is taken out, so that only the content tells the client that
// something is missing.
func Truncate(n int64) Fault {
	return afterBytes(fmt.Sprintf("truncate to %d bytes", n), n, errEndAnswer)
}

func afterBytes(name string, n int64, stop error) Fault {
	return NewFault(name, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&byteWriter{ResponseWriter: w, left: n, stop: stop}, r)
		})
	})
}

// byteWriter lets a number of bytes pass and then stops the handler.
type byteWriter struct {
	http.ResponseWriter
	left int64
	stop error
}

// Unwrap lets an http.ResponseController flush the client's side.
func (w *byteWriter) Unwrap() http.ResponseWriter {
	return w.ResponseWriter
}

// WriteHeader sends the answer's head.
func (w *byteWriter) WriteHeader(status int) {
	if errors.Is(w.stop, errEndAnswer) {
		w.Header().Del("Content-Length")
	}
	w.ResponseWriter.WriteHeader(status)
	w.stopWhenDone()
}

// Write sends as much of p as is allowed.
func (w *byteWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if err != nil {
		return n, err
	}
	w.stopWhenDone()
	return n, nil
}

func (w *byteWriter) stopWhenDone() {
	if w.left <= 0 {
		flush(w.ResponseWriter)
		panic(w.stop)
	}
}
