package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/bench/internal/result"
)

// The ways to fill a cache.
const (
	stream    = "stream"     // a WATCH that begins with all objects: what informers do since client-go 0.35
	listWatch = "list+watch" // what they did before, and do where the server cannot stream
	list      = "list"       // no informer at all: the limit
)

var modes = []string{stream, listWatch, list}

// source is what an informer reads from. The method below is the one by which client-go lets a
// source say that it cannot stream (k8s.io/client-go/util/watchlist). The environment variable
// KUBE_FEATURE_WatchListClient does the same, for the whole process and for good.
type source struct {
	*cache.ListWatch
	listOnly bool
}

func (s source) IsWatchListSemanticsUnSupported() bool { return s.listOnly }

func (n *line) source(ns, mode string) source {
	api := n.client.CoreV1().ConfigMaps(ns)
	return source{&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (k8sruntime.Object, error) {
			return api.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return api.Watch(ctx, o)
		},
	}, mode == listWatch}
}

// fill fills k caches at once and returns when all are full. The stop function ends them; until
// then they keep what they have.
func (n *line) fill(ctx context.Context, ns, mode string, k int) (passed int, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	end := func() {
		cancel()
		running.Wait()
	}
	if mode == list {
		lists, errs := make([]*corev1.ConfigMapList, k), make([]error, k)
		for i := range k {
			running.Go(func() { lists[i], errs[i] = n.client.CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{}) })
		}
		running.Wait()
		if err := errors.Join(errs...); err != nil {
			end()
			return 0, nil, err
		}
		for _, l := range lists {
			passed += len(l.Items)
		}
		return passed, func() { runtime.KeepAlive(lists); end() }, nil
	}
	caches := make([]cache.SharedIndexInformer, k)
	synced := make([]cache.DoneChecker, k)
	for i := range k {
		caches[i] = cache.NewSharedIndexInformer(n.source(ns, mode), &corev1.ConfigMap{}, 0, cache.Indexers{})
		synced[i] = caches[i].HasSyncedChecker()
		running.Go(func() { caches[i].RunWithContext(ctx) })
	}
	if !cache.WaitFor(ctx, "", synced...) {
		end()
		return 0, nil, context.Cause(ctx)
	}
	for _, c := range caches {
		passed += len(c.GetStore().ListKeys())
	}
	return passed, func() { runtime.KeepAlive(caches); end() }, nil
}

// round is one fill, measured.
func (l *lab) round(ctx context.Context, ns, mode string, k int) (r result.SyncRun, err error) {
	n, err := l.dial()
	if err != nil {
		return r, err
	}
	defer n.close()
	admin, err := l.dial()
	if err != nil {
		return r, err
	}
	defer admin.close()
	// Both connections are open before anything is timed.
	if _, _, err := n.bare(ctx, "/livez"); err != nil {
		return r, err
	}
	if _, err := admin.server(ctx); err != nil {
		return r, err
	}
	server, err := admin.server(ctx)
	if err != nil {
		return r, err
	}
	settle()
	in, requests := n.traffic.in.Load(), n.traffic.requests.Load()
	before, cpu := memory(), clientCPU()
	peak := watchHeap()
	start := time.Now()
	passed, stop, err := n.fill(ctx, ns, mode, k)
	took := time.Since(start)
	highest := peak()
	if err != nil {
		return r, fmt.Errorf("%s of %s: %w", mode, ns, err)
	}
	r.ClientCPU = clientCPU() - cpu
	now := memory()
	r.Alloc = float64(now.TotalAlloc - before.TotalAlloc)
	after, err := admin.server(ctx)
	settle()
	kept := memory()
	stop()
	if err != nil {
		return r, err
	}
	grew := after.sub(server)
	r.ServerAlloc, r.ServerCPU = grew.alloc, grew.cpu
	r.Seconds, r.Passed = took.Seconds(), float64(passed)
	r.Heap = float64(kept.HeapAlloc) - float64(before.HeapAlloc)
	r.HeapPeak = float64(highest) - float64(before.HeapAlloc)
	r.WireIn = float64(n.traffic.in.Load() - in)
	r.Requests = float64(n.traffic.requests.Load() - requests)
	return r, nil
}

// syncs fills caches in all modes by turns, that many rounds, and takes the medians.
func (l *lab) syncs(ctx context.Context, s set, ks []int, rounds int) ([]result.SyncRun, error) {
	ns, err := l.objects(ctx, s)
	if err != nil {
		return nil, err
	}
	var runs []result.SyncRun
	for _, k := range ks {
		l.say.step("sync: %d at once, %d ConfigMaps of %d bytes", k, s.objects, s.bytes)
		all := make([][]result.SyncRun, len(modes))
		for i := range rounds {
			for m := range modes {
				m = (m + i) % len(modes) // nobody is always first
				l.say.detail("round %d of %d, %s", i+1, rounds, modes[m])
				r, err := l.round(ctx, ns, modes[m], k)
				if err != nil {
					return nil, err
				}
				all[m] = append(all[m], r)
			}
		}
		for m, rounds := range all {
			run := medians(rounds)
			run.Mode, run.K, run.Objects, run.ObjectBytes = modes[m], k, s.objects, s.bytes
			runs = append(runs, run)
		}
	}
	return runs, nil
}

func medians(rounds []result.SyncRun) (m result.SyncRun) {
	of := func(field func(*result.SyncRun) *float64) {
		var values []float64
		for i := range rounds {
			values = append(values, *field(&rounds[i]))
		}
		*field(&m) = result.Median(values...)
	}
	for _, r := range rounds {
		m.Rounds = append(m.Rounds, r.Seconds)
	}
	of(func(r *result.SyncRun) *float64 { return &r.Seconds })
	of(func(r *result.SyncRun) *float64 { return &r.Requests })
	of(func(r *result.SyncRun) *float64 { return &r.WireIn })
	of(func(r *result.SyncRun) *float64 { return &r.Heap })
	of(func(r *result.SyncRun) *float64 { return &r.HeapPeak })
	of(func(r *result.SyncRun) *float64 { return &r.Alloc })
	of(func(r *result.SyncRun) *float64 { return &r.ServerAlloc })
	of(func(r *result.SyncRun) *float64 { return &r.ServerCPU })
	of(func(r *result.SyncRun) *float64 { return &r.ClientCPU })
	of(func(r *result.SyncRun) *float64 { return &r.Passed })
	return m
}

// memories measures the API server's resident memory while k caches fill. The server is started anew
// for each figure, on the same data: a process gives memory back so slowly that what it needed while
// the objects were made, or for the figure before, would hide what it needs now.
func (l *lab) memories(ctx context.Context, s set, ks []int, rounds int) (out []result.Memory, err error) {
	own, err := startCluster(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, own.down()) }()
	filled := &lab{cluster: own.cluster, say: l.say, sets: map[set]string{}}
	l.say.step("sync: server memory, %d ConfigMaps of %d bytes, on a cluster for it", s.objects, s.bytes)
	ns, err := filled.objects(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, k := range ks {
		all := make([][]result.Memory, len(modes))
		for i := range rounds {
			for m := range modes {
				m = (m + i) % len(modes) // nobody is always first
				l.say.step("sync: server memory by %s, %d at once, %d ConfigMaps of %d bytes, round %d of %d",
					modes[m], k, s.objects, s.bytes, i+1, rounds)
				if err := own.restart(ctx); err != nil {
					return nil, err
				}
				one, err := filled.memoryOf(ctx, ns, modes[m], k)
				if err != nil {
					return nil, err
				}
				all[m] = append(all[m], one)
				settle()
			}
		}
		for _, rounds := range all {
			one := memoryMedians(rounds)
			one.Objects, one.ObjectBytes = s.objects, s.bytes
			out = append(out, one)
		}
	}
	return out, nil
}

func memoryMedians(rounds []result.Memory) result.Memory {
	m := rounds[0]
	var before, peak []float64
	for _, r := range rounds {
		before, peak = append(before, r.Before), append(peak, r.Peak)
		m.Rounds = append(m.Rounds, r.Peak-r.Before)
	}
	m.Before, m.Peak = result.Median(before...), result.Median(peak...)
	return m
}

// memoryOf is one fill of a server that has done nothing yet but read its own cache from etcd.
func (l *lab) memoryOf(ctx context.Context, ns, mode string, k int) (m result.Memory, err error) {
	m = result.Memory{Mode: mode, K: k}
	var lines [2]*line
	for i := range lines {
		if lines[i], err = l.dial(); err != nil {
			return m, err
		}
		defer lines[i].close()
	}
	admin, n := lines[0], lines[1]
	_, err = n.client.CoreV1().ConfigMaps(ns).Get(ctx, item(0), metav1.GetOptions{ResourceVersion: "0"})
	if err != nil { // it waits until the cache is there
		return m, err
	}
	before, err := admin.server(ctx)
	if err != nil {
		return m, err
	}
	peak := admin.watchMemory(ctx)
	_, stop, err := n.fill(ctx, ns, mode, k)
	if err != nil {
		_, _ = peak()
		return m, err
	}
	last, err := admin.server(ctx)
	highest, failed := peak()
	stop()
	m.Before, m.Peak = before.rss, max(highest, last.rss)
	return m, errors.Join(err, failed)
}

func memory() (m runtime.MemStats) {
	runtime.ReadMemStats(&m)
	return m
}

// watchHeap samples the size of the client's heap until it is called.
func watchHeap() func() uint64 {
	var peak atomic.Uint64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			peak.Store(max(peak.Load(), sample[0].Value.Uint64()))
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	}()
	return func() uint64 {
		close(end)
		<-ended
		return peak.Load()
	}
}

// clientCPU is the CPU time that this process has used, in seconds.
func clientCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
