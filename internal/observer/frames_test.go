package observer

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/watch"
)

var streamTypes = []string{"application/json", "application/vnd.kubernetes.protobuf", "application/cbor"}

func newSplitter(mediaType string) *splitter {
	header := http.Header{"Content-Type": {mediaType + ";stream=watch"}}
	return eventSplitter(Request{Verb: "watch"}, http.StatusOK, header)
}

func TestSplitterFindsEventsInPieces(t *testing.T) {
	events := []watch.EventType{watch.Added, watch.Modified, watch.Bookmark, watch.Deleted, watch.Error}
	for _, mediaType := range streamTypes {
		var stream []byte
		for _, event := range events {
			raw, err := encodeEvent(mediaType, event, configMap("one"))
			if err != nil {
				t.Fatal(err)
			}
			stream = append(stream, raw...)
		}
		for _, size := range []int{1, 2, 3, 7, 1000, len(stream)} {
			s := newSplitter(mediaType)
			var got []watch.EventType
			for piece := range chunks(stream, size) {
				for _, f := range s.push(piece) {
					got = append(got, f.event)
				}
			}
			if diff := cmp.Diff(events, got); diff != "" {
				t.Errorf("%s in pieces of %d (-want +got):\n%s", mediaType, size, diff)
			}
		}
	}
}

func TestSplitterTakesGarbageAsUnknown(t *testing.T) {
	tests := []struct {
		mediaType string
		stream    string
		want      []watch.EventType
	}{
		{"application/json", "}", []watch.EventType{Unknown}},
		{"application/json", "<html>", []watch.EventType{Unknown}},
		{"application/json", `{"type":"WHAT"}{"type":"ADDED"}`, []watch.EventType{Unknown, watch.Added}},
		{"application/json", `{"type":"ADDED"}}{"type":"ADDED"}`, []watch.EventType{watch.Added, Unknown}},
		{"application/vnd.kubernetes.protobuf", "\x00\x00\x00\x02\xff\xff", []watch.EventType{Unknown}},
		{"application/vnd.kubernetes.protobuf", "\xff\xff\xff\xff", []watch.EventType{Unknown}},
		{"application/cbor", "\xff", []watch.EventType{Unknown}},
	}
	for _, test := range tests {
		var got []watch.EventType
		for _, f := range newSplitter(test.mediaType).push([]byte(test.stream)) {
			got = append(got, f.event)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s %q (-want +got):\n%s", test.mediaType, test.stream, diff)
		}
	}
}

// FuzzSplitter checks that no byte is lost or changed, whatever comes.
func FuzzSplitter(f *testing.F) {
	for i, mediaType := range streamTypes {
		raw, err := encodeEvent(mediaType, watch.Added, configMap("one"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, 5, raw)
		f.Add(i, 2, append(raw, "}garbage"...))
	}
	f.Fuzz(func(t *testing.T, kind, size int, stream []byte) {
		if len(stream) > 4096 {
			t.Skip("a frame is looked at again with each piece, so many small pieces take long")
		}
		s := newSplitter(streamTypes[uint(kind)%uint(len(streamTypes))])
		var got []byte
		for piece := range chunks(stream, 1+int(uint(size)%64)) {
			for _, f := range s.push(piece) {
				got = append(got, f.raw...)
			}
		}
		if got = append(got, s.rest...); !bytes.Equal(got, stream) {
			t.Errorf("got %q, want %q", got, stream)
		}
	})
}

// chunks walks over b in pieces that the receiver may not keep, as a reverse
// proxy's buffer may not be kept.
func chunks(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		buf := make([]byte, size)
		for len(b) > 0 {
			n := copy(buf, b)
			b = b[n:]
			if !yield(buf[:n]) {
				return
			}
		}
	}
}

func TestParsePath(t *testing.T) {
	tests := []struct {
		method, target string
		want           Request
	}{
		{"GET", "/api/v1/namespaces/demo/configmaps", Request{Verb: "list", Namespace: "demo", Resource: "configmaps"}},
		{"GET", "/api/v1/configmaps?watch=true", Request{Verb: "watch", Resource: "configmaps"}},
		{"GET", "/api/v1/configmaps?watch=1", Request{Verb: "watch", Resource: "configmaps"}},
		{"GET", "/api/v1/configmaps?watch=false", Request{Verb: "list", Resource: "configmaps"}},
		{"GET", "/api/v1/namespaces", Request{Verb: "list", Resource: "namespaces"}},
		{"POST", "/api/v1/namespaces", Request{Verb: "create", Resource: "namespaces"}},
		{"GET", "/api/v1/namespaces/x", Request{Verb: "get", Resource: "namespaces", Namespace: "x", Name: "x"}},
		{"PUT", "/api/v1/namespaces/x/finalize", Request{Verb: "update", Resource: "namespaces", Namespace: "x", Name: "x", Subresource: "finalize"}},
		{"DELETE", "/api/v1/namespaces/x/configmaps", Request{Verb: "deletecollection", Resource: "configmaps", Namespace: "x"}},
		{"PATCH", "/apis/apps/v1/namespaces/x/deployments/d/scale", Request{Verb: "patch", APIGroup: "apps", Resource: "deployments", Namespace: "x", Name: "d", Subresource: "scale"}},
		{"GET", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", Request{Verb: "list", APIGroup: "flowcontrol.apiserver.k8s.io", Resource: "flowschemas"}},
		{"GET", "/api/v1", Request{}},
		{"GET", "/apis/apps/v1", Request{}},
		{"GET", "/metrics", Request{}},
		{"GET", "/", Request{}},
	}
	for _, test := range tests {
		got := parseRequest(httptest.NewRequest(test.method, test.target, nil))
		got = Request{Verb: got.Verb, APIGroup: got.APIGroup, Namespace: got.Namespace, Resource: got.Resource, Name: got.Name, Subresource: got.Subresource}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.method, test.target, diff)
		}
	}
}
