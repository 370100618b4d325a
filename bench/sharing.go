package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/bench/internal/result"
	"client-go-lessons/internal/wire"
)

// sharing is the third part: k handlers on one factory, and on k.
func (l *lab) sharing(ctx context.Context, s set, ks []int, updates, rounds int) ([]result.Share, error) {
	ns, err := l.objects(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []result.Share
	for turn, k := range ks {
		l.say.step("sharing: %d handlers", k)
		kinds := []int{1, k}
		if k == 1 {
			kinds = kinds[:1]
		}
		all := make([][]result.Share, len(kinds))
		for round := range rounds {
			for i := range kinds {
				i = (i + turn + round) % len(kinds) // nobody is always first
				factories := kinds[i]
				l.say.detail("round %d, %d factories", round+1, factories)
				one, err := l.share(ctx, ns, s.objects, k, factories, updates)
				if err != nil {
					return nil, err
				}
				all[i] = append(all[i], one)
			}
		}
		for _, rounds := range all {
			out = append(out, shareMedians(rounds))
		}
	}
	return out, nil
}

func shareMedians(rounds []result.Share) result.Share {
	m := rounds[0]
	m.Rounds = len(rounds)
	of := func(field func(*result.Share) *float64) {
		var values []float64
		for i := range rounds {
			values = append(values, *field(&rounds[i]))
		}
		*field(&m) = result.Median(values...)
	}
	of(func(s *result.Share) *float64 { return &s.Watches })
	of(func(s *result.Share) *float64 { return &s.Heap })
	of(func(s *result.Share) *float64 { return &s.WireIn })
	of(func(s *result.Share) *float64 { return &s.Seconds })
	of(func(s *result.Share) *float64 { return &s.ClientCPU })
	of(func(s *result.Share) *float64 { return &s.ServerCPU })
	of(func(s *result.Share) *float64 { return &s.ServerAlloc })
	return m
}

// share syncs, then changes objects, and waits until every handler has been told of everything.
func (l *lab) share(ctx context.Context, ns string, objects, k, factories, updates int) (r result.Share, err error) {
	r = result.Share{K: k, Factories: factories, Objects: objects, Updates: updates}
	config, watches := countWatches(l)
	n, err := dialConfig(config)
	if err != nil {
		return r, err
	}
	defer n.close()
	admin, err := l.dial()
	if err != nil {
		return r, err
	}
	defer admin.close()
	if _, _, err := n.bare(ctx, "/livez"); err != nil {
		return r, err
	}
	if _, err := admin.server(ctx); err != nil {
		return r, err
	}
	before, err := admin.server(ctx)
	if err != nil {
		return r, err
	}
	settle()
	heap, cpu, in := memory().HeapAlloc, clientCPU(), n.traffic.in.Load()
	start := time.Now()

	ctx, cancel := context.WithCancel(ctx)
	var made []informers.SharedInformerFactory
	defer func() {
		cancel()
		for _, f := range made {
			f.Shutdown()
		}
	}()
	for range factories {
		made = append(made, informers.NewSharedInformerFactoryWithOptions(n.client, 0, informers.WithNamespace(ns)))
	}
	var told atomic.Int64
	want := int64(k * (objects + updates))
	all := make(chan struct{})
	tell := func() {
		if told.Add(1) == want {
			close(all)
		}
	}
	var synced []cache.DoneChecker
	for i := range k {
		informer := made[i%factories].Core().V1().ConfigMaps().Informer()
		registration, err := informer.AddEventHandler(cache.FilteringResourceEventHandler{
			FilterFunc: isItem, // not the one that the cluster puts into each namespace
			Handler: cache.ResourceEventHandlerFuncs{
				AddFunc:    func(any) { tell() },
				UpdateFunc: func(any, any) { tell() },
			},
		})
		if err != nil {
			return r, err
		}
		synced = append(synced, registration.HasSyncedChecker())
	}
	for _, f := range made {
		f.StartWithContext(ctx)
	}
	if !cache.WaitFor(ctx, "", synced...) {
		return r, context.Cause(ctx)
	}
	r.Seconds = time.Since(start).Seconds()
	if err := change(ctx, admin, ns, objects, updates); err != nil {
		return r, err
	}
	late, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	select {
	case <-all:
	case <-late.Done():
		return r, fmt.Errorf("the handlers were told %d times, want %d: %w", told.Load(), want, late.Err())
	}
	r.ClientCPU = clientCPU() - cpu
	r.WireIn = float64(n.traffic.in.Load() - in)
	after, err := admin.server(ctx)
	if err != nil {
		return r, err
	}
	grew := after.sub(before)
	r.ServerCPU, r.ServerAlloc = grew.cpu, grew.alloc
	settle()
	r.Heap = float64(memory().HeapAlloc) - float64(heap)
	r.Watches = float64(watches())
	r.Told = told.Load()
	return r, nil
}

// change patches that many objects, one after the other in a few goroutines.
func change(ctx context.Context, n *line, ns string, objects, updates int) error {
	const writers = 4
	errs := make([]error, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := w; i < updates && errs[w] == nil; i += writers {
				errs[w] = touch(ctx, n, ns, i%objects)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// touch changes one object.
func touch(ctx context.Context, n *line, ns string, i int) error {
	patch := `{"metadata":{"annotations":{"at":"` + strconv.FormatInt(time.Now().UnixNano(), 10) + `"}}}`
	_, err := n.client.CoreV1().ConfigMaps(ns).Patch(ctx, item(i), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// countWatches returns a config whose clients' WATCH requests are counted.
func countWatches(l *lab) (config *rest.Config, watches func() int) {
	config = rest.CopyConfig(l.cluster.Config)
	counter := wire.Count(config)
	return config, func() int { return counter.Lap().Requests["watch"] }
}
