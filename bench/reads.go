package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/bench/internal/result"
)

// op is one way to read.
type op struct {
	name, kind string
	// batch is how many calls are timed together: a single one of those from memory takes less
	// than reading the clock twice.
	batch int
	run   func() error
}

const inMemory = 64

// reader holds what the ways to read need: a synced informer with an index, and a plain map.
type reader struct {
	line *line
	// admin asks the server for its counters, on a connection of its own.
	admin *line
	ns    string
	ops   []op
	stop  func()
}

// byShard is the name of the index.
const byShard = "shard"

// guarded is the physical limit: the least that a cache which several goroutines use can do.
type guarded struct {
	mu sync.Mutex
	m  map[string]*corev1.ConfigMap
}

func (g *guarded) get(key string) *corev1.ConfigMap {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.m[key]
}

// newReader syncs an informer on the set and makes the list of ways to read it.
func (l *lab) newReader(ctx context.Context, s set) (_ *reader, err error) {
	r := &reader{stop: func() {}}
	if r.ns, err = l.objects(ctx, s); err != nil {
		return nil, err
	}
	if r.line, err = l.dial(); err != nil {
		return nil, err
	}
	if r.admin, err = l.dial(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(r.line.client, 0, informers.WithNamespace(r.ns))
	r.stop = func() {
		cancel()
		factory.Shutdown()
		r.line.close()
		r.admin.close()
	}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	informer := factory.Core().V1().ConfigMaps().Informer()
	err = informer.AddIndexers(cache.Indexers{byShard: func(obj any) ([]string, error) {
		cm, ok := obj.(*corev1.ConfigMap)
		if !ok {
			return nil, fmt.Errorf("a %T", obj)
		}
		return []string{cm.Labels["shard"]}, nil
	}})
	if err != nil {
		return nil, err
	}
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return nil, fmt.Errorf("sync the cache: %w", err)
	}
	lister := factory.Core().V1().ConfigMaps().Lister().ConfigMaps(r.ns)
	indexer := informer.GetIndexer()

	// The map holds all that the cache holds.
	plain := &guarded{m: map[string]*corev1.ConfigMap{}}
	cached, err := lister.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	for _, cm := range cached {
		plain.m[cm.Namespace+"/"+cm.Name] = cm
	}
	// Every way reads the same names, one after the other: all of them, in random order, and again
	// until there are enough.
	var names, keys []string
	random := rand.New(rand.NewPCG(1, 2))
	for len(names) < 4096 {
		for _, i := range random.Perm(s.objects) {
			name, key := item(i), r.ns+"/"+item(i)
			if plain.m[key] == nil {
				return nil, fmt.Errorf("ConfigMap %s is not in the cache", key)
			}
			names, keys = append(names, name), append(keys, key)
		}
	}
	turn := 0
	next := func() int { turn++; return turn % len(names) }

	api, plainJSON := r.line.client.CoreV1().ConfigMaps(r.ns), r.line.json.CoreV1().ConfigMaps(r.ns)
	selector := labels.SelectorFromSet(labels.Set{"shard": "1"})
	atLeast := func(want, have int) error {
		if have < want {
			return fmt.Errorf("%d ConfigMaps, want %d", have, want)
		}
		return nil
	}
	each := s.objects / shards // the objects with one label
	list := func(o metav1.ListOptions, want int) func() error {
		return func() error {
			got, err := api.List(ctx, o)
			if err != nil {
				return err
			}
			return atLeast(want, len(got.Items))
		}
	}
	r.ops = []op{
		{"map", "limit", inMemory, func() error { runtime.KeepAlive(plain.get(keys[next()])); return nil }},
		{"map, key built", "limit", inMemory, func() error { runtime.KeepAlive(plain.get(r.ns + "/" + names[next()])); return nil }},
		{"lister get", "memory", inMemory, func() error {
			cm, err := lister.Get(names[next()])
			runtime.KeepAlive(cm)
			return err
		}},
		{"indexer get", "memory", inMemory, func() error {
			obj, _, err := indexer.GetByKey(keys[next()])
			runtime.KeepAlive(obj)
			return err
		}},
		{"indexer by label", "memory", inMemory, func() error {
			objs, err := indexer.ByIndex(byShard, strconv.Itoa(next()%shards))
			runtime.KeepAlive(objs)
			return err
		}},
		{"lister list by label", "memory", 1, func() error {
			list, err := lister.List(selector)
			runtime.KeepAlive(list)
			if err != nil {
				return err
			}
			return atLeast(each, len(list))
		}},
		{"lister list", "memory", 1, func() error {
			list, err := lister.List(labels.Everything())
			runtime.KeepAlive(list)
			if err != nil {
				return err
			}
			return atLeast(s.objects, len(list))
		}},
		{"livez", "limit", 1, func() error {
			status, _, err := r.line.bare(ctx, "/livez")
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("/livez answers %d", status)
			}
			return err
		}},
		{"get", "server", 1, func() error {
			_, err := api.Get(ctx, names[next()], metav1.GetOptions{})
			return err
		}},
		{"get rv=0", "server", 1, func() error {
			_, err := api.Get(ctx, names[next()], metav1.GetOptions{ResourceVersion: "0"})
			return err
		}},
		{"get json", "server", 1, func() error {
			_, err := plainJSON.Get(ctx, names[next()], metav1.GetOptions{})
			return err
		}},
		{"list by label", "server", 1, list(metav1.ListOptions{LabelSelector: selector.String()}, each)},
		{"list", "server", 1, list(metav1.ListOptions{}, s.objects)},
		{"list rv=0", "server", 1, list(metav1.ListOptions{ResourceVersion: "0"}, s.objects)},
		{"list paged", "server", 1, func() error {
			o, n := metav1.ListOptions{Limit: 500}, 0
			for {
				page, err := api.List(ctx, o)
				if err != nil {
					return err
				}
				n += len(page.Items)
				if o.Continue = page.Continue; o.Continue == "" {
					return atLeast(s.objects, n)
				}
			}
		}},
		{"list json", "server", 1, func() error {
			got, err := plainJSON.List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			return atLeast(s.objects, len(got.Items))
		}},
	}
	return r, nil
}

// pick returns the ways of those names, in this order.
func (r *reader) pick(names ...string) []op {
	var ops []op
	for _, name := range names {
		for _, o := range r.ops {
			if o.name == name {
				ops = append(ops, o)
			}
		}
	}
	return ops
}

// effort is how long a way to read is tried.
type effort struct {
	slice  time.Duration // for each way, in all rounds together
	rounds int
	least  int // samples, however long they take
}

// asksEtcd are the ways whose share of etcd's time the server is asked for.
func asksEtcd(name string) bool { return name == "get" || name == "get rv=0" }

// measure tries the ways by turns, so that whatever else the machine does hits all of them alike.
func (r *reader) measure(ctx context.Context, ops []op, e effort) ([]result.Op, error) {
	recorders := make([]*result.Recorder, len(ops))
	measured := make([]result.Op, len(ops))
	calls := make([]int, len(ops))
	for i, o := range ops {
		recorders[i] = result.NewRecorder()
		measured[i].Name, measured[i].Kind = o.name, o.kind
		if err := o.run(); err != nil { // the first one warms caches and connections
			return nil, fmt.Errorf("%s: %w", o.name, err)
		}
	}
	counters := func(o op) (s serverState, err error) {
		if r.admin != nil && asksEtcd(o.name) {
			s, err = r.admin.server(ctx)
		}
		return s, err
	}
	etcd := make([]serverState, len(ops))
	each := (e.least + e.rounds - 1) / e.rounds
	for range e.rounds {
		for i, o := range ops {
			var before, after runtime.MemStats
			server, err := counters(o)
			if err != nil {
				return nil, err
			}
			in, out, requests := r.line.traffic.in.Load(), r.line.traffic.out.Load(), r.line.traffic.requests.Load()
			runtime.GC()
			runtime.ReadMemStats(&before)
			for began, n := time.Now(), 0; n < each || time.Since(began) < e.slice/time.Duration(e.rounds); n++ {
				start := time.Now()
				for range o.batch {
					if err := o.run(); err != nil {
						return nil, fmt.Errorf("%s: %w", o.name, err)
					}
				}
				recorders[i].Add(time.Since(start) / time.Duration(o.batch))
				calls[i] += o.batch
			}
			runtime.ReadMemStats(&after)
			now, err := counters(o)
			if err != nil {
				return nil, err
			}
			grew := now.sub(server)
			etcd[i].etcdSum, etcd[i].etcdGets = etcd[i].etcdSum+grew.etcdSum, etcd[i].etcdGets+grew.etcdGets
			m := &measured[i]
			m.Allocs += float64(after.Mallocs - before.Mallocs)
			m.Alloc += float64(after.TotalAlloc - before.TotalAlloc)
			m.WireIn += float64(r.line.traffic.in.Load() - in)
			m.WireOut += float64(r.line.traffic.out.Load() - out)
			m.Requests += float64(r.line.traffic.requests.Load() - requests)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
	}
	for i := range measured {
		m, n := &measured[i], float64(calls[i])
		m.Latency = recorders[i].Latency()
		if m.EtcdGets = etcd[i].etcdGets / n; m.EtcdGets > 0 {
			m.EtcdTime = etcd[i].etcdSum / etcd[i].etcdGets * float64(time.Second)
		}
		for _, v := range []*float64{&m.Allocs, &m.Alloc, &m.WireIn, &m.WireOut, &m.Requests} {
			*v /= n
		}
	}
	return measured, nil
}

// reads is the first part.
func (l *lab) reads(ctx context.Context, sets []set, slice time.Duration, least func(set) int) (*result.Reads, error) {
	out := &result.Reads{}
	for _, s := range sets {
		l.say.step("reads: %d ConfigMaps of %d bytes", s.objects, s.bytes)
		r, err := l.newReader(ctx, s)
		if err != nil {
			return nil, err
		}
		ops, err := r.measure(ctx, r.ops, effort{slice: slice, rounds: 3, least: least(s)})
		r.stop()
		if err != nil {
			return nil, err
		}
		out.Sizes = append(out.Sizes, result.Size{Objects: s.objects, ObjectBytes: s.bytes, Ops: ops})
	}
	return out, l.encodings(ctx, out)
}

// encodings asks for a List of 1,000 in each encoding that Kubernetes knows.
func (l *lab) encodings(ctx context.Context, out *result.Reads) error {
	ns, err := l.objects(ctx, small(1000))
	if err != nil {
		return err
	}
	n, err := l.dial()
	if err != nil {
		return err
	}
	defer n.close()
	for _, e := range []result.Encoding{
		{Name: "JSON", Type: "application/json"},
		{Name: "protobuf", Type: "application/vnd.kubernetes.protobuf"},
		{Name: "CBOR", Type: "application/cbor"},
	} {
		status, body, err := n.bare(ctx, "/api/v1/namespaces/"+ns+"/configmaps", "Accept", e.Type)
		if err != nil {
			return err
		}
		e.Status = status
		if status == http.StatusOK {
			e.Bytes = len(body)
		}
		out.Encodings = append(out.Encodings, e)
	}
	return nil
}
