package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// filler fills caches. It returns what is to be kept, and a function that waits for the end of what it
// has started, once ctx is over.
type filler func(ctx context.Context) (keep any, wait func(), err error)

// BenchmarkSync fills one cache: by a WATCH that begins with all objects, as informers do since
// client-go 0.35; by LIST and WATCH, as they did before; and, as the limit, by a List alone.
func BenchmarkSync(b *testing.B) {
	for _, objects := range []int{1000, 10_000} {
		for _, by := range []string{"stream", "list-watch", "list"} {
			b.Run(fmt.Sprintf("objects=%d/by=%s", objects, by), func(b *testing.B) {
				ns, c := filledNamespace(b, objects), newClient(b, -1)
				fill(b, c, objects, map[string]filler{
					"stream":     informing(c, ns, 1, 1),
					"list-watch": informing(listOnly{c}, ns, 1, 1),
					"list": func(ctx context.Context) (any, func(), error) {
						list, err := c.CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{})
						return list, func() {}, err
					},
				}[by])
			})
		}
	}
}

// BenchmarkShare has several handlers on one factory, and on a factory each.
func BenchmarkShare(b *testing.B) {
	for _, objects := range []int{1000, 10_000} {
		for _, n := range [][2]int{{1, 1}, {4, 1}, {4, 4}, {16, 1}, {16, 16}} {
			b.Run(fmt.Sprintf("objects=%d/handlers=%d/factories=%d", objects, n[0], n[1]), func(b *testing.B) {
				ns, c := filledNamespace(b, objects), newClient(b, -1)
				fill(b, c, objects, informing(c, ns, n[0], n[1]))
			})
		}
	}
}

// listOnly tells informers that they cannot stream (k8s.io/client-go/util/watchlist).
type listOnly struct{ kubernetes.Interface }

func (listOnly) IsWatchListSemanticsUnSupported() bool { return true }

// informing syncs informers with that many handlers, on that many factories.
func informing(clientset kubernetes.Interface, ns string, handlers, factories int) filler {
	return func(ctx context.Context) (any, func(), error) {
		made, synced := make([]informers.SharedInformerFactory, factories), make([]cache.DoneChecker, handlers)
		for i := range made {
			made[i] = informers.NewSharedInformerFactoryWithOptions(clientset, 0, informers.WithNamespace(ns))
		}
		for i := range synced {
			registration, err := made[i%factories].Core().V1().ConfigMaps().Informer().
				AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(any) {}})
			if err != nil {
				return nil, func() {}, err
			}
			synced[i] = registration.HasSyncedChecker()
		}
		for _, factory := range made {
			factory.StartWithContext(ctx)
		}
		cache.WaitFor(ctx, "", synced...)
		return made, func() {
			for _, factory := range made {
				factory.Shutdown()
			}
		}, ctx.Err()
	}
}

// fill measures what it takes to fill caches, each time anew: time, this program's heap, what the
// server allocates, and what goes over the wire.
func fill(b *testing.B, c *client, objects int, with filler) {
	admin := newClient(b, -1)
	check(b, c.livez(b.Context())) // both connections are open before anything is timed
	admin.server(b)
	var took durations
	var heap, peak, allocated, requests, watches, received float64
	for b.Loop() {
		b.StopTimer()
		ctx, cancel := context.WithCancel(b.Context())
		server := admin.server(b)
		empty := settledHeap()
		highest := watchHeap()
		c.count.Lap()
		b.StartTimer()
		start := time.Now()
		keep, wait, err := with(ctx)
		took = append(took, float64(time.Since(start)))
		b.StopTimer()
		peak += highest() - empty
		lap := c.count.Lap()
		allocated += admin.server(b).allocated - server.allocated
		heap += settledHeap() - empty
		runtime.KeepAlive(keep)
		requests += float64(lap.Total())
		watches += float64(lap.Requests["watch"])
		received += float64(lap.Bytes)
		cancel()
		wait()
		check(b, err)
		b.StartTimer()
	}
	n := float64(b.N)
	took.report(b, "")
	b.ReportMetric(requests/n, "requests/op")
	b.ReportMetric(watches/n, "watches/op")
	b.ReportMetric(received/n, "received-B/op")
	b.ReportMetric(heap/n, "heap-B")
	b.ReportMetric(heap/n/float64(objects), "heap-B/object")
	b.ReportMetric(peak/n, "peak-B")
	b.ReportMetric(allocated/n, "server-B/op")
}

// settledHeap is the size of what is still in use.
func settledHeap() float64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// watchHeap looks at the size of the heap every two milliseconds until the function that it returns
// is called, which tells the largest.
func watchHeap() (stop func() float64) {
	ctx, cancel := context.WithCancel(context.Background())
	peak := make(chan float64)
	go func() {
		sample, highest := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}, 0.0
		for ctx.Err() == nil {
			metrics.Read(sample)
			highest = max(highest, float64(sample[0].Value.Uint64()))
			time.Sleep(2 * time.Millisecond)
		}
		peak <- highest
	}()
	return func() float64 { cancel(); return <-peak }
}
