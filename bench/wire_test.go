package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/wire"
)

// BenchmarkWire is a Get on a transport that answers at once, where nothing but the client's own work
// is left, with and without internal/wire counting.
func BenchmarkWire(b *testing.B) {
	for _, counted := range []bool{false, true} {
		b.Run("counted="+strconv.FormatBool(counted), func(b *testing.B) {
			clientset := stillClient(b, counted)
			timed(b, 8, func(ctx context.Context) error {
				_, err := clientset.CoreV1().ConfigMaps("ns").Get(ctx, item(0), metav1.GetOptions{})
				return err
			})
		})
	}
}

// stillClient is a client whose transport answers each Get from memory.
func stillClient(b *testing.B, counted bool) *kubernetes.Clientset {
	config := &rest.Config{Host: "http://still", QPS: -1, Transport: stillTransport{}}
	if counted {
		wire.Count(config)
	}
	clientset, err := kubernetes.NewForConfig(config)
	check(b, err)
	return clientset
}

type stillTransport struct{}

// RoundTrip tells a trace of its connection, as net/http does.
func (stillTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: stillConn{}, Reused: true})
	}
	const body = `{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "item-0"}}`
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/2.0", ProtoMajor: 2, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}, "Audit-Id": {"1"}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// stillConn is asked for its address alone.
type stillConn struct{ net.Conn }

func (stillConn) LocalAddr() net.Addr { return stillAddress }

var stillAddress = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
