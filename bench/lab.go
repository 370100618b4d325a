package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/bench/internal/result"
	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/wire"
)

// lab is what all parts measure with.
type lab struct {
	cluster *cluster.Cluster
	say     *progress

	mu     sync.Mutex
	sets   map[set]string // namespaces, by what is in them
	remove []func() error
}

// set is a number of ConfigMaps in a namespace of their own.
type set struct{ objects, bytes int }

// line is a client with one connection of its own, whose traffic is counted where it leaves.
type line struct {
	config  *rest.Config // for further clients on the same connection, together with http
	http    *http.Client
	client  *kubernetes.Clientset // speaks protobuf, as typed clients do by default
	json    *kubernetes.Clientset
	traffic *traffic
}

// traffic counts what passes a line's connections: TLS records, after compression.
type traffic struct{ in, out, requests, dials atomic.Int64 }

type countedConn struct {
	net.Conn
	t *traffic
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.t.in.Add(int64(n))
	return n, err
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.t.out.Add(int64(n))
	return n, err
}

type countedTransport struct {
	next http.RoundTripper
	t    *traffic
}

func (c countedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c.t.requests.Add(1)
	return c.next.RoundTrip(req)
}

func (c countedTransport) WrappedRoundTripper() http.RoundTripper { return c.next }

// dial opens a line. Its Dial function keeps client-go from sharing the connection with others.
func (l *lab) dial() (*line, error) { return dialConfig(l.cluster.Config) }

func dialConfig(base *rest.Config) (*line, error) {
	n := &line{config: rest.CopyConfig(base), traffic: &traffic{}}
	n.config.QPS = -1 // no client-side rate limit: it would hide what is measured here
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	n.config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		n.traffic.dials.Add(1)
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return countedConn{conn, n.traffic}, nil
	}
	wire.StopQuietly(n.config)
	n.config.Wrap(func(rt http.RoundTripper) http.RoundTripper { return countedTransport{rt, n.traffic} })
	var err error
	if n.http, err = rest.HTTPClientFor(n.config); err != nil {
		return nil, err
	}
	if n.client, err = kubernetes.NewForConfigAndClient(n.config, n.http); err != nil {
		return nil, err
	}
	plain := rest.CopyConfig(n.config)
	plain.ContentType, plain.AcceptContentTypes = "application/json", "application/json"
	n.json, err = kubernetes.NewForConfigAndClient(plain, n.http)
	return n, err
}

func (n *line) close() { utilnet.CloseIdleConnectionsFor(n.http.Transport) }

// bare asks for a path with nothing of client-go above the transport.
func (n *line) bare(ctx context.Context, path string, header ...string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(n.config.Host, "/")+path, nil)
	if err != nil {
		return 0, nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// objects returns a namespace that has that many ConfigMaps of that size.
func (l *lab) objects(ctx context.Context, s set) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ns := l.sets[s]; ns != "" {
		return ns, nil
	}
	ns, err := l.scratch(ctx)
	if err != nil {
		return "", err
	}
	if err := l.load(ctx, l.cluster.Config, ns, s); err != nil {
		return "", err
	}
	l.sets[s] = ns
	return ns, nil
}

func (l *lab) scratch(ctx context.Context) (string, error) {
	ns, remove, err := cluster.Scratch(ctx, l.cluster, "make", "bench", nil)
	l.remove = append(l.remove, remove)
	return ns, err
}

// close deletes the namespaces. The server empties them in the background.
func (l *lab) close() error {
	var errs []error
	for _, remove := range l.remove {
		errs = append(errs, remove())
	}
	l.remove, l.sets = nil, map[set]string{}
	return errors.Join(errs...)
}

// loaders is how many requests create objects at the same time.
const loaders = 16

// load creates the ConfigMaps of a set. Their names are item-0, item-1 and so on, in key order of
// nothing in particular; their labels put each into one of shards shards.
func (l *lab) load(ctx context.Context, base *rest.Config, ns string, s set) error {
	n, err := dialConfig(base)
	if err != nil {
		return err
	}
	defer n.close()
	var next, made atomic.Int64
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for w := range loaders {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1)) // text that does not shrink much
			for i := int(next.Add(1)) - 1; i < s.objects; i = int(next.Add(1)) - 1 {
				_, err := n.client.CoreV1().ConfigMaps(ns).Create(ctx, configMap(i, s.bytes, random), metav1.CreateOptions{})
				if err != nil {
					cancel(fmt.Errorf("create ConfigMap %s: %w", item(i), err))
					return
				}
				if done := made.Add(1); done%500 == 0 {
					l.say.detail("%d of %d ConfigMaps", done, s.objects)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

const shards = 100

func item(i int) string { return "item-" + strconv.Itoa(i) }

func configMap(i, size int, random *rand.Rand) *corev1.ConfigMap {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
	text := make([]byte, size)
	for j := range text {
		text[j] = letters[random.IntN(len(letters))]
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: item(i), Labels: map[string]string{"shard": strconv.Itoa(i % shards)}},
		Data:       map[string]string{"text": string(text)},
	}
}

// serverState is what the API server tells of itself in /metrics. On the local provider its process
// holds etcd, too.
type serverState struct {
	rss, cpu, alloc   float64
	etcdSum, etcdGets float64 // of Gets of ConfigMaps
}

func (s serverState) sub(t serverState) serverState {
	return serverState{s.rss - t.rss, s.cpu - t.cpu, s.alloc - t.alloc, s.etcdSum - t.etcdSum, s.etcdGets - t.etcdGets}
}

func (n *line) server(ctx context.Context) (serverState, error) {
	status, body, err := n.bare(ctx, "/metrics")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the answer is %d", status)
	}
	if err != nil {
		return serverState{}, fmt.Errorf("read /metrics: %w", err)
	}
	return parseServer(body)
}

func parseServer(metrics []byte) (s serverState, err error) {
	const etcdGet = `{group="",operation="get",resource="configmaps"}`
	want := map[string]*float64{
		"process_resident_memory_bytes":                 &s.rss,
		"process_cpu_seconds_total":                     &s.cpu,
		"go_memstats_alloc_bytes_total":                 &s.alloc,
		"etcd_request_duration_seconds_sum" + etcdGet:   &s.etcdSum,
		"etcd_request_duration_seconds_count" + etcdGet: &s.etcdGets,
	}
	lines := bufio.NewScanner(bytes.NewReader(metrics))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 {
			continue
		}
		if to := want[lines.Text()[:at]]; to != nil {
			if *to, err = strconv.ParseFloat(lines.Text()[at+1:], 64); err != nil {
				return s, fmt.Errorf("parse %q: %w", lines.Text(), err)
			}
		}
	}
	if s.rss == 0 || s.alloc == 0 {
		return s, errors.New("/metrics does not tell the server's memory")
	}
	return s, lines.Err()
}

// watchMemory samples the server's resident memory until stop is called, which returns the peak.
func (n *line) watchMemory(ctx context.Context) (stop func() (peak float64, err error)) {
	ctx, cancel := context.WithCancel(ctx)
	var peak float64
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			s, err := n.server(ctx)
			if err != nil {
				if ctx.Err() == nil {
					failed = err
				}
				return
			}
			peak = max(peak, s.rss)
			select {
			case <-ctx.Done():
			case <-time.After(sampleEvery):
			}
		}
	}()
	return func() (float64, error) {
		cancel()
		<-done
		return peak, failed
	}
}

// sampleEvery is the pause between two readings of /metrics, which are work for the server.
const sampleEvery = 50 * time.Millisecond

// settle makes the client's heap what is still in use.
func settle() { debug.FreeOSMemory() }

// small and big are sets in the sizes of package result.
func small(objects int) set { return set{objects, result.Small} }
func big(objects int) set   { return set{objects, result.Big} }
