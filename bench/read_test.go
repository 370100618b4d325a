package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// BenchmarkRead is each way to read from namespaces with more and more ConfigMaps.
func BenchmarkRead(b *testing.B) {
	for _, objects := range []int{100, 1000, 10_000} {
		b.Run("objects="+strconv.Itoa(objects), func(b *testing.B) {
			r := newReader(b, objects)
			for _, w := range r.ways {
				b.Run("way="+w.name, func(b *testing.B) { r.measure(b, w) })
			}
		})
	}
}

// way is one way to read. Of calls that take less time than a look at the clock, batch calls are
// timed together.
type way struct {
	name  string
	batch int
	read  func(ctx context.Context) error
}

const inMemory = 64

type reader struct {
	client, admin *client // admin asks the server for its own counters
	ways          []way
}

func (r *reader) measure(b *testing.B, w way) {
	check(b, w.read(b.Context())) // the first call warms caches and connections
	before := r.admin.server(b)
	r.client.count.Lap()
	timed(b, w.batch, w.read)
	lap, after := r.client.count.Lap(), r.admin.server(b)
	b.ReportMetric(float64(lap.Total())/float64(b.N), "requests/op")
	b.ReportMetric(float64(lap.Bytes)/float64(b.N), "received-B/op")
	if gets := after.etcdGets - before.etcdGets; gets > 0 {
		b.ReportMetric((after.etcdSeconds-before.etcdSeconds)/gets*1e9, "etcd-ns")
	}
}

// timed calls a function as often as the benchmark wants, and times batch calls together.
func timed(b *testing.B, batch int, call func(context.Context) error) {
	ctx, took := b.Context(), make(durations, 0, 1<<20)
	b.ReportAllocs()
	last := time.Now()
	for i := 1; b.Loop(); i++ {
		check(b, call(ctx))
		if i%batch == 0 {
			now := time.Now()
			took, last = append(took, float64(now.Sub(last))/float64(batch)), now
		}
	}
	took.report(b, "")
}

// newReader fills a cache with an index, and makes the list of ways to read.
func newReader(b *testing.B, objects int) *reader {
	ns := filledNamespace(b, objects)
	r := &reader{client: newClient(b, -1), admin: newClient(b, -1)}
	const byShard = "shard"
	factory := informers.NewSharedInformerFactoryWithOptions(r.client, 0, informers.WithNamespace(ns))
	informer := factory.Core().V1().ConfigMaps().Informer()
	lister := factory.Core().V1().ConfigMaps().Lister().ConfigMaps(ns)
	check(b, informer.AddIndexers(cache.Indexers{byShard: func(obj any) ([]string, error) {
		cm, ok := obj.(*corev1.ConfigMap)
		if !ok {
			return nil, fmt.Errorf("a %T is no ConfigMap", obj)
		}
		return []string{cm.Labels["shard"]}, nil
	}}))
	startFactory(b, factory)

	// The physical limit is the least that a cache for several goroutines can do: a map and a lock.
	var mu sync.Mutex
	plain := map[string]*corev1.ConfigMap{}
	all, err := lister.List(labels.Everything())
	check(b, err)
	for _, cm := range all {
		plain[ns+"/"+cm.Name] = cm
	}
	// All ways read the same names in the same random order.
	var names, keys []string
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(objects) {
		names, keys = append(names, item(i)), append(keys, ns+"/"+item(i))
	}
	turn := 0
	next := func() int { turn++; return turn % objects }

	selector := labels.SelectorFromSet(labels.Set{"shard": "1"})
	api := r.client.CoreV1().ConfigMaps(ns)
	get := func(o metav1.GetOptions) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := api.Get(ctx, names[next()], o)
			return err
		}
	}
	list := func(o metav1.ListOptions, want int) func(context.Context) error {
		return func(ctx context.Context) error {
			for o, n := o, 0; ; {
				page, err := api.List(ctx, o)
				if err != nil {
					return err
				}
				n += len(page.Items)
				if o.Continue = page.Continue; o.Continue == "" {
					return enough(n, want, nil)
				}
			}
		}
	}
	r.ways = []way{
		{"map", inMemory, func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			if plain[keys[next()]] == nil {
				return errors.New("a ConfigMap is missing")
			}
			return nil
		}},
		{"lister-get", inMemory, func(context.Context) error { _, err := lister.Get(names[next()]); return err }},
		{"indexer-label", inMemory, func(context.Context) error {
			list, err := informer.GetIndexer().ByIndex(byShard, strconv.Itoa(next()%shards))
			return enough(len(list), objects/shards, err)
		}},
		{"lister-list-label", 1, func(context.Context) error {
			list, err := lister.List(selector)
			return enough(len(list), objects/shards, err)
		}},
		{"lister-list", 1, func(context.Context) error {
			list, err := lister.List(labels.Everything())
			return enough(len(list), objects, err)
		}},
		{"livez", 1, r.client.livez},
		{"get", 1, get(metav1.GetOptions{})},
		{"get-rv0", 1, get(metav1.GetOptions{ResourceVersion: "0"})},
		{"list-label", 1, list(metav1.ListOptions{LabelSelector: selector.String()}, objects/shards)},
		{"list", 1, list(metav1.ListOptions{}, objects)},
		{"list-rv0", 1, list(metav1.ListOptions{ResourceVersion: "0"}, objects)},
		{"list-paged", 1, list(metav1.ListOptions{Limit: 500}, objects)},
		{"list-json", 1, func(ctx context.Context) error { // typed clients ask for protobuf
			var got corev1.ConfigMapList
			err := r.client.CoreV1().RESTClient().Get().Namespace(ns).Resource("configmaps").
				SetHeader("Accept", "application/json").Do(ctx).Into(&got)
			return enough(len(got.Items), objects, err)
		}},
	}
	return r
}

func enough(have, want int, err error) error {
	if err == nil && have < want {
		err = fmt.Errorf("%d ConfigMaps, want %d", have, want)
	}
	return err
}

// startFactory starts and syncs a factory, which ends with the benchmark.
func startFactory(b *testing.B, factory informers.SharedInformerFactory) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // b.Context ends before Cleanup runs
	b.Cleanup(func() { cancel(); factory.Shutdown() })
	factory.StartWithContext(ctx)
	check(b, factory.WaitForCacheSyncWithContext(b.Context()).AsError())
}

// livez is the limit of any request: HTTP/2 and TLS without client-go's part, and without etcd.
func (c *client) livez(ctx context.Context) error {
	_, err := c.bare(ctx, "/livez")
	return err
}

func (c *client) bare(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.config.Host, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return body, err
}

// serverState is what the API server counts of itself. On the local provider its process holds etcd
// as well.
type serverState struct {
	allocated             float64 // bytes, since the start
	etcdSeconds, etcdGets float64 // of Gets of ConfigMaps
}

func (c *client) server(b testing.TB) serverState {
	b.Helper()
	metrics, err := c.bare(context.Background(), "/metrics")
	check(b, err)
	const get = `{group="",operation="get",resource="configmaps"}`
	return serverState{
		allocated:   metric(b, string(metrics), "go_memstats_alloc_bytes_total"),
		etcdSeconds: metric(b, string(metrics), "etcd_request_duration_seconds_sum"+get),
		etcdGets:    metric(b, string(metrics), "etcd_request_duration_seconds_count"+get),
	}
}

// metric is the value of one line of /metrics. There is no line before there is anything to count.
func metric(b testing.TB, metrics, name string) float64 {
	_, rest, ok := strings.Cut("\n"+metrics, "\n"+name+" ")
	if !ok {
		return 0
	}
	text, _, _ := strings.Cut(rest, "\n")
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		b.Fatalf("/metrics: %s: %v", name, err)
	}
	return value
}
