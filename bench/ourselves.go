package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"client-go-lessons/bench/internal/result"
	"client-go-lessons/internal/wire"
)

const protobuf = "application/vnd.kubernetes.protobuf"

// wireCost compares Gets with and without internal/wire, in pairs on one connection, and then on a
// transport that answers at once, where nothing but the client's own work is left.
func (l *lab) wireCost(ctx context.Context, pairs, rounds int) (w result.Wire, err error) {
	l.say.step("ourselves: internal/wire on a Get")
	ns, err := l.objects(ctx, small(100))
	if err != nil {
		return w, err
	}
	without := rest.CopyConfig(l.cluster.Config)
	without.QPS = -1
	with := rest.CopyConfig(without)
	wire.Count(with) // no Dial: client-go gives both the same connection
	var clients [2]*kubernetes.Clientset
	for i, cfg := range []*rest.Config{without, with} {
		if clients[i], err = kubernetes.NewForConfig(cfg); err != nil {
			return w, err
		}
	}
	whole := [2]*result.Recorder{result.NewRecorder(), result.NewRecorder()}
	var ratios []float64
	get := func(which, i int) (time.Duration, error) {
		start := time.Now()
		_, err := clients[which].CoreV1().ConfigMaps(ns).Get(ctx, item(i%100), metav1.GetOptions{})
		return time.Since(start), err
	}
	for i := range 200 { // warm
		if _, err := get(i%2, i); err != nil {
			return w, err
		}
	}
	for range rounds {
		one := [2]*result.Recorder{result.NewRecorder(), result.NewRecorder()}
		for i := range pairs / rounds {
			for _, turn := range [2]int{0, 1} {
				which := turn ^ i%2 // A B, B A: nobody is always second
				took, err := get(which, i)
				if err != nil {
					return w, err
				}
				one[which].Add(took)
				whole[which].Add(took)
			}
		}
		ratios = append(ratios, one[1].Latency().P50/one[0].Latency().P50)
	}
	w.Pairs = whole[0].N()
	w.Without, w.With = whole[0].Latency(), whole[1].Latency()
	w.Ratio, w.Ratios = result.Median(ratios...), ratios

	var stills [2]*kubernetes.Clientset
	// The fastest round of each is the one that was disturbed least.
	for i, counted := range []bool{false, true} {
		client, err := still(counted)
		if err != nil {
			return w, err
		}
		stills[i] = client
	}
	fastest := [2]float64{math.Inf(1), math.Inf(1)}
	var allocs [2]float64
	for range rounds {
		for i, client := range stills {
			ns, count, err := getStill(ctx, client, 100*time.Millisecond)
			if err != nil {
				return w, err
			}
			fastest[i], allocs[i] = min(fastest[i], ns), count
		}
	}
	w.CPUWithout, w.CPU = fastest[0], fastest[1]-fastest[0]
	w.AllocsTotal, w.Allocs = math.Round(allocs[0]), math.Round(allocs[1])-math.Round(allocs[0])
	return w, nil
}

// getStill calls Get for that long, and returns what one call takes.
func getStill(ctx context.Context, client *kubernetes.Clientset, during time.Duration) (ns, allocs float64, err error) {
	before, began, n := memory(), time.Now(), 0
	err = forTime(ctx, during, inMemory, func() error {
		n++
		_, err := client.CoreV1().ConfigMaps("ns").Get(ctx, item(0), metav1.GetOptions{})
		return err
	})
	took, after := time.Since(began), memory()
	return float64(took) / float64(n), float64(after.Mallocs-before.Mallocs) / float64(n), err
}

// still is a client whose transport answers each Get at once, from memory.
func still(counted bool) (*kubernetes.Clientset, error) {
	cm := configMap(0, result.Small, rand.New(rand.NewPCG(1, 1)))
	cm.Namespace = "ns"
	info, _ := k8sruntime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), protobuf)
	body, err := k8sruntime.Encode(scheme.Codecs.EncoderForVersion(info.Serializer, corev1.SchemeGroupVersion), cm)
	if err != nil {
		return nil, err
	}
	cfg := &rest.Config{Host: "http://still", QPS: -1, Transport: &stillTransport{body: body}}
	if counted {
		wire.Count(cfg)
	}
	return kubernetes.NewForConfig(cfg)
}

// stillTransport answers from memory, and tells a trace of its connection as net/http does.
type stillTransport struct{ body []byte }

func (t *stillTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: stillConn{}, Reused: true})
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/2.0", ProtoMajor: 2, Request: req,
		Header: http.Header{
			"Content-Type":                      {protobuf},
			"X-Kubernetes-Pf-Flowschema-Uid":    {"00000000-0000-0000-0000-000000000001"},
			"X-Kubernetes-Pf-Prioritylevel-Uid": {"00000000-0000-0000-0000-000000000002"},
			"Cache-Control":                     {"no-cache, private"},
			"Audit-Id":                          {"00000000-0000-0000-0000-000000000003"},
		},
		Body: io.NopCloser(bytes.NewReader(t.body)), ContentLength: int64(len(t.body)),
	}, nil
}

// stillConn is asked for its address alone.
type stillConn struct{ net.Conn }

func (stillConn) LocalAddr() net.Addr { return stillAddr }

var stillAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
