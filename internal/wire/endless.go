package wire

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// NoticeEndlessSync calls tell when the lists that watches of clients made from cfg from now on start
// with do not come to their end: when that many watches have begun, and the end of no list came
// meanwhile, or when nothing has come for so long in the middle of one. It may call tell again.
//
// A server, or a proxy in front of it, may drop the bookmark that ends such a list: then an informer
// waits for ever. Or it ends the watch before the bookmark: an informer of client-go v0.37.2 then
// begins the watch anew without a pause, hundreds of times a second, and tells nobody
// (client-go/tools/cache/reflector.go, watchList). KUBE_FEATURE_WatchListClient=false has it list in
// the older way.
func NoticeEndlessSync(cfg *rest.Config, most int, silence time.Duration, tell func()) {
	var begun atomic.Int64
	wrap(cfg, func(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
		if !strings.Contains(req.URL.RawQuery, "sendInitialEvents=true") {
			return rt.RoundTrip(req)
		}
		if begun.Add(1) == int64(most) {
			tell()
		}
		resp, err := rt.RoundTrip(req)
		if streams(req, resp, err) {
			resp.Body = &listBody{ReadCloser: resp.Body, ended: func() { begun.Store(0) },
				silence: silence, alarm: time.AfterFunc(silence, tell)}
		}
		return resp, err
	})
}

// listBody looks for the end of the list that a watch starts with.
type listBody struct {
	io.ReadCloser
	ended   func() // nil when it has been called
	tail    []byte // of what was read: the mark may arrive in two parts
	silence time.Duration
	alarm   *time.Timer
}

// endOfList is in the bookmark after the list, whether as JSON or as protobuf.
var endOfList = []byte(metav1.InitialEventsAnnotationKey)

func (b *listBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.ended == nil {
		return n, err
	}
	b.alarm.Reset(b.silence)
	b.tail = append(b.tail, p[:n]...)
	if bytes.Contains(b.tail, endOfList) {
		b.alarm.Stop()
		b.ended()
		b.ended, b.tail = nil, nil
		return n, err
	}
	b.tail = bytes.Clone(b.tail[max(0, len(b.tail)-len(endOfList)+1):])
	if err != nil {
		b.alarm.Stop()
	}
	return n, err
}

func (b *listBody) Close() error {
	b.alarm.Stop()
	return b.ReadCloser.Close()
}
