package observer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
	"k8s.io/apimachinery/pkg/watch"
)

// Unknown is the type under which a frame is counted that is not a watch
// event, or not one that can be read.
const Unknown watch.EventType = "UNKNOWN"

// maxFrame is the length in bytes from which a frame is taken for garbage. No
// object in etcd comes near it.
const maxFrame = 64 << 20

// frame is one event of a watch as it is on the wire.
type frame struct {
	event watch.EventType
	raw   []byte
	// meta and code are known only where details are asked for; see readEvent.
	meta *Meta
	code int
}

// splitter cuts a watch's body into frames, however it arrives in pieces. The
// frames' bytes, put together, are the body's. An unfinished frame is looked
// at anew with each piece: with pieces of 16 KiB, as HTTP/2 brings them, and
// objects of at most a megabyte or so, that costs little and keeps no state.
type splitter struct {
	mediaType string
	// first returns the length of the first frame in buf and the event in it,
	// or 0 when buf does not hold a whole frame.
	first func(buf []byte) (int, watch.EventType, error)
	// rest is what has arrived of the next frame.
	rest   []byte
	broken bool
}

var errNoFrame = errors.New("observer: not a watch event's frame")

// eventSplitter returns a splitter for an answer that is a stream of watch
// events in a form it knows, and nil for any other.
func eventSplitter(r Request, status int, header http.Header) *splitter {
	if r.Verb != "watch" || status != http.StatusOK || header.Get("Content-Encoding") != "" {
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return nil
	}
	switch mediaType {
	case "application/json":
		return &splitter{mediaType: mediaType, first: firstJSON}
	case "application/vnd.kubernetes.protobuf":
		return &splitter{mediaType: mediaType, first: firstProtobuf}
	case "application/cbor-seq", "application/cbor":
		return &splitter{mediaType: "application/cbor", first: firstCBOR}
	default:
		return nil
	}
}

// push takes the next piece of the body and returns the frames that it
// completes. After garbage there are no boundaries to be found: all that
// follows comes back at once and unknown.
func (s *splitter) push(p []byte) []frame {
	s.rest = append(s.rest, p...)
	var frames []frame
	for len(s.rest) > 0 {
		n, event, err := len(s.rest), Unknown, error(nil)
		if !s.broken {
			n, event, err = s.first(s.rest)
		}
		if err != nil || n == 0 && len(s.rest) > maxFrame {
			s.broken = true
			continue
		}
		if n == 0 {
			break
		}
		frames = append(frames, frame{event: event, raw: s.rest[:n:n]})
		s.rest = s.rest[n:]
	}
	return frames
}

// firstJSON finds the end of an object by counting brackets, and takes the
// line break after it along.
func firstJSON(buf []byte) (int, watch.EventType, error) {
	depth, quoted, escaped := 0, false, false
	for i, c := range buf {
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped = c == '\\'
			quoted = c != '"'
		case c == '"' && depth > 0:
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
			if depth == 0 {
				end := i + 1
				for end < len(buf) && isSpace(buf[end]) {
					end++
				}
				return end, jsonEvent(buf[:i+1]), nil
			}
		}
		if depth < 0 || depth == 0 && !isSpace(c) {
			return 0, "", errNoFrame
		}
	}
	return 0, "", nil
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t'
}

func jsonEvent(raw []byte) watch.EventType {
	var event struct {
		Type string `json:"type"`
	}
	err := json.Unmarshal(raw, &event)
	return eventType(event.Type, err)
}

// firstProtobuf reads a length of four bytes, most significant first, and
// that many bytes of a metav1.WatchEvent. Unlike the object inside, the event
// itself has no envelope around it.
func firstProtobuf(buf []byte) (int, watch.EventType, error) {
	const head = 4
	if len(buf) < head {
		return 0, "", nil
	}
	length := binary.BigEndian.Uint32(buf)
	if length > maxFrame {
		return 0, "", errNoFrame
	}
	end := head + int(length)
	if len(buf) < end {
		return 0, "", nil
	}
	var event metav1.WatchEvent
	err := event.Unmarshal(buf[head:end])
	return end, eventType(event.Type, err), nil
}

// selfDescribed is the tag that says "this is CBOR" in front of a data item.
var selfDescribed = []byte{0xd9, 0xd9, 0xf7}

// firstCBOR leaves the search for the end to the library that client-go uses,
// which does not count the tag in front.
func firstCBOR(buf []byte) (int, watch.EventType, error) {
	frames := cbor.NewFramer().NewFrameReader(io.NopCloser(bytes.NewReader(buf)))
	raw := make([]byte, len(buf))
	n, err := frames.Read(raw)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", errNoFrame
	}
	var event metav1.WatchEvent
	err = direct.Unmarshal(raw[:n], &event)
	if bytes.HasPrefix(buf, selfDescribed) && !bytes.HasPrefix(raw[:n], selfDescribed) {
		n += len(selfDescribed)
	}
	return n, eventType(event.Type, err), nil
}

func eventType(name string, err error) watch.EventType {
	switch t := watch.EventType(name); t {
	case watch.Added, watch.Modified, watch.Deleted, watch.Bookmark, watch.Error:
		if err == nil {
			return t
		}
	}
	return Unknown
}

// encodeEvent returns an event as the API server would put it on the wire.
func encodeEvent(mediaType string, event watch.EventType, object runtime.Object) ([]byte, error) {
	info, ok := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), mediaType)
	if !ok || info.StreamSerializer == nil {
		return nil, errNoFrame
	}
	var raw bytes.Buffer
	if err := codecs.EncoderForVersion(info.Serializer, coreV1).Encode(object, &raw); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err := info.StreamSerializer.Encode(
		&metav1.WatchEvent{Type: string(event), Object: runtime.RawExtension{Raw: raw.Bytes()}},
		info.StreamSerializer.NewFrameWriter(&out),
	)
	return out.Bytes(), err
}
