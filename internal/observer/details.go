package observer

import (
	"bytes"
	"hash/maphash"
	"io"
	"net/http"
)

// The functions in this file look into bodies, for an observer that was started WithDetails.

// readSent reads the body of a write, and notes the metadata of the object in it.
func readSent(request *Request, r *http.Request) {
	if request.Verb == "watch" {
		r.Header.Del("Accept-Encoding")
	}
	if r.Header.Get("Upgrade") != "" {
		return
	}
	switch request.Verb {
	case "create", "update", "patch":
	default:
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	request.SentBytes = int64(len(body))
	request.Sent = readMeta(r.Header.Get("Content-Type"), body)
}

// look takes from a piece of the answer what WithDetails promises.
func (w *recorder) look(p []byte, frames []frame) {
	if w.journal.details {
		for i := range frames {
			frames[i].meta, frames[i].code = readEvent(w.frames.mediaType, frames[i])
		}
	}
	if w.body != nil {
		w.body.write(p)
	}
}

var hashSeed = maphash.MakeSeed()

// body is an answer of which details are wanted.
type body struct {
	mediaType string
	hash      *maphash.Hash // nil for a write's
	object    bool          // it holds one object
	seen      []byte        // of one object
}

// newBody returns nil for an answer that holds neither an object nor a list.
func newBody(r Request, status int, header http.Header) *body {
	if status >= http.StatusMultipleChoices || r.Subresource != "" && r.Subresource != "status" {
		return nil
	}
	b := &body{mediaType: header.Get("Content-Type")}
	switch r.Verb {
	case "get", "list":
		b.hash = new(maphash.Hash)
		b.hash.SetSeed(hashSeed)
		b.object = r.Verb == "get"
	case "create", "update", "patch":
		b.object = true
	default:
		return nil
	}
	b.object = b.object && header.Get("Content-Encoding") == ""
	return b
}

func (b *body) write(p []byte) {
	if b.hash != nil {
		_, _ = b.hash.Write(p) // it never fails
	}
	if b.object && len(b.seen) <= maxObject {
		b.seen = append(b.seen, p...)
	}
}

// finish returns the metadata of the object in the answer, and the hash of it, if it came whole.
func (b *body) finish(by EndedBy) (got *Meta, hash uint64) {
	if b == nil || by == ByFault || by == ByLoss {
		return nil, 0
	}
	if b.hash != nil {
		hash = b.hash.Sum64()
	}
	if b.object {
		got = readMeta(b.mediaType, b.seen)
	}
	return got, hash
}
