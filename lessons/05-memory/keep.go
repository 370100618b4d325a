package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// What the steps keep: ConfigMaps, one in five of tier backend, with some text.
const (
	objects = 500
	every   = 5
	text    = 2000 // bytes
)

// memory is what the steps share.
type memory struct {
	config *rest.Config
	ns     string
	costs  map[string]cost // by step
}

// cost is what it takes to keep a copy.
type cost struct {
	objects int   // of the lesson: a cluster may add its own
	sent    int64 // bytes that came over the network until the copy was there
	kept    int64 // bytes that the copy takes in memory
}

func (c cost) each() int64 { return c.kept / int64(max(1, c.objects)) }

// show prints costs, by the names that they were kept under.
func (m *memory) show(run *lesson.Run, names ...string) {
	table := [][]any{{"you keep", "objects", "came", "kept", "each"}}
	for _, name := range names {
		c := m.costs[name]
		table = append(table, []any{name, c.objects, wire.Bytes(c.sent), wire.Bytes(c.kept),
			wire.Bytes(c.each())})
	}
	run.Table(table...)
}

// factory is what the factories for typed objects, for metadata and for untyped objects have in
// common.
type factory interface {
	Start(stopCh <-chan struct{})
	Shutdown()
}

// client returns a config to make clients from, and what counts on their wire.
func (m *memory) client() (*rest.Config, *wire.Counter) {
	cfg := rest.CopyConfig(m.config)
	return cfg, wire.Count(cfg)
}

// keep starts a factory, waits until its informer has synced, and measures. Then it calls read, if
// there is one, and stops the factory.
func (m *memory) keep(ctx context.Context, counter *wire.Counter, f factory,
	informer cache.SharedIndexInformer, read func() error,
) (cost, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer f.Shutdown() // after cancel
	defer cancel(nil)
	if err := informer.SetWatchErrorHandlerWithContext(giveUp(cancel)); err != nil {
		return cost{}, err
	}
	counter.Lap()
	before := heap()
	f.Start(ctx.Done())
	if !cache.WaitFor(ctx, "", informer.HasSyncedChecker()) {
		return cost{}, context.Cause(ctx)
	}
	lap := counter.Lap()
	if lap.Status[http.StatusForbidden] > 0 {
		// It has listed, since it may not watch by a stream. Now it finds out whether it may watch.
		select {
		case <-ctx.Done():
			return cost{}, context.Cause(ctx)
		case <-time.After(5 * time.Second): // it may
		}
	}
	c := cost{sent: lap.Bytes, kept: max(0, heap()-before)}
	for _, key := range informer.GetStore().ListKeys() {
		if strings.HasPrefix(key, m.ns+"/bulk-") {
			c.objects++
		}
	}
	if read == nil {
		return c, nil
	}
	return c, read()
}

// giveUp ends the waiting when the server refuses to list or watch: an informer would try for ever.
func giveUp(cancel context.CancelCauseFunc) cache.WatchErrorHandlerWithContext {
	return func(ctx context.Context, reflector *cache.Reflector, err error) {
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			cancel(err)
			return
		}
		cache.DefaultWatchErrorHandler(ctx, reflector, err)
	}
}

// heap is the memory in use after garbage has been collected. The second collection takes what
// pools kept over the first.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// fill makes the ConfigMaps, eight at a time, the first one alone: it opens the connection that the
// others then share.
func (m *memory) fill(ctx context.Context, run *lesson.Run) error {
	m.config, m.ns, m.costs = rest.CopyConfig(run.Config), run.Namespace, map[string]cost{}
	m.config.QPS = -1                  // no client-side rate limit: lesson 01 shows what it does
	m.config.DisableCompression = true // so that the sizes that are printed are those on the wire
	wire.StopQuietly(m.config)         // or client-go may log a watch's end when it is stopped
	clientset, err := kubernetes.NewForConfig(m.config)
	if err != nil {
		return err
	}
	create := func(i int) error {
		cm := bulk(i)
		_, err := clientset.CoreV1().ConfigMaps(m.ns).Create(ctx, cm, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("create ConfigMap %s: %w", cm.Name, err)
		}
		return nil
	}
	if err := create(0); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var last atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := last.Add(1); i < objects && ctx.Err() == nil; i = last.Add(1) {
				if err := create(int(i)); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// bulk is one of many ConfigMaps: five of them belong to each team.
func bulk(i int) *corev1.ConfigMap {
	tier := "frontend"
	if i%every == 0 {
		tier = "backend"
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("bulk-%03d", i), Labels: map[string]string{"tier": tier}},
		Data: map[string]string{
			"team": fmt.Sprintf("team-%02d", i/5), "text": strings.Repeat("x", text)},
	}
}

// examples are the ConfigMaps of the technique.
func examples() (all []*corev1.ConfigMap) {
	for name, tier := range map[string]string{"database": "backend", "search": "frontend"} {
		all = append(all, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}},
			Data:       map[string]string{"color": "blue", "text": strings.Repeat("x", text)},
		})
	}
	return all
}
