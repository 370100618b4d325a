package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"

	"client-go-lessons/fresh"
)

const probe = "probe" // the ConfigMap that is written and read

// BenchmarkAfterWrite writes one ConfigMap again and again and reads it after each answer, in each way
// that there is, while others write a hundred more.
func BenchmarkAfterWrite(b *testing.B) {
	for _, load := range loads {
		b.Run("others="+load[1], func(b *testing.B) {
			c := newChase(b)
			c.writeAsOthers(b, map[string]float32{"0": 0, "100": 100, "500": 500, "max": -1}[load[1]])
			for _, p := range append(c.peers(), c.controllerRuntime(b)) {
				b.Run("read="+p.name, func(b *testing.B) { c.measure(b, p) })
			}
		})
	}
}

// peer is one way to read what was just written. Some must be told of the write before they read.
type peer struct {
	name  string
	write func(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) // nil: by the clientset
	read  func(ctx context.Context, written *corev1.ConfigMap) (*corev1.ConfigMap, error)
}

// chase has an informer and a plain watch on one connection, both of one namespace.
type chase struct {
	*client
	others   *client // of those who write
	ns       string
	informer cache.SharedIndexInformer
	lister   corelisters.ConfigMapNamespaceLister
	waiter   *fresh.Waiter
	events   chan sighting // of the probe, from the plain watch
}

type sighting struct {
	version string
	at      time.Time
}

func newChase(b *testing.B) *chase {
	c := &chase{client: newClient(b, -1), ns: newNamespace(b, 100), events: make(chan sighting, 1000)}
	api := c.CoreV1().ConfigMaps(c.ns)
	_, err := api.Create(b.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: probe}}, metav1.CreateOptions{})
	check(b, err)
	factory := informers.NewSharedInformerFactoryWithOptions(c, 0, informers.WithNamespace(c.ns))
	c.informer = factory.Core().V1().ConfigMaps().Informer()
	c.lister = factory.Core().V1().ConfigMaps().Lister().ConfigMaps(c.ns)
	c.waiter, err = fresh.NewWaiter(c.informer)
	check(b, err)
	startFactory(b, factory)
	w, err := api.Watch(context.Background(), metav1.ListOptions{})
	check(b, err)
	b.Cleanup(w.Stop)
	go func() {
		for event := range w.ResultChan() {
			if cm, ok := event.Object.(*corev1.ConfigMap); ok && cm.Name == probe {
				c.events <- sighting{cm.ResourceVersion, time.Now()}
			}
		}
		close(c.events)
	}()
	return c
}

// seen waits until the plain watch has the event of that version, and returns when that was.
func (c *chase) seen(version string) (time.Time, error) {
	for event := range c.events {
		if event.version == version {
			return event.at, nil
		}
	}
	return time.Time{}, errors.New("the plain watch ended")
}

func (c *chase) measure(b *testing.B, p peer) {
	api := c.CoreV1().ConfigMaps(c.ns)
	if p.write == nil {
		p.write = func(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
			return api.Update(ctx, cm, metav1.UpdateOptions{})
		}
	}
	ctx := b.Context()
	cm, err := api.Get(ctx, probe, metav1.GetOptions{})
	check(b, err)
	var answer, event, fresh, after durations // the first three from the moment of sending
	var stale, requests float64
	c.others.count.Lap()
	began := time.Now()
	for b.Loop() {
		cm.Data = map[string]string{"at": strconv.FormatInt(time.Now().UnixNano(), 10)}
		sent := time.Now()
		cm, err = p.write(ctx, cm)
		check(b, err)
		c.count.Lap()
		answered := time.Now()
		got, err := p.read(ctx, cm)
		done := time.Now()
		check(b, err)
		requests += float64(c.count.Lap().Total())
		ok, err := atLeast(got, cm.ResourceVersion)
		check(b, err)
		if !ok {
			stale++
		}
		raw, err := c.seen(cm.ResourceVersion)
		check(b, err)
		answer, event = append(answer, float64(answered.Sub(sent))), append(event, float64(raw.Sub(sent)))
		fresh, after = append(fresh, float64(done.Sub(sent))), append(after, float64(done.Sub(answered)))
	}
	answer.report(b, "answer-")
	event.report(b, "event-")
	fresh.report(b, "fresh-")
	after.report(b, "after-")
	b.ReportMetric(requests/float64(b.N), "requests/op")
	b.ReportMetric(stale/float64(b.N), "stale/op")
	b.ReportMetric(float64(c.others.count.Lap().Total())/time.Since(began).Seconds(), "others/s")
}

func atLeast(cm *corev1.ConfigMap, version string) (bool, error) {
	order, err := resourceversion.CompareResourceVersion(cm.ResourceVersion, version)
	return order >= 0 && err == nil, err
}

// peers are the ways to read that need client-go alone.
func (c *chase) peers() []peer {
	type read = func(ctx context.Context, written *corev1.ConfigMap) (*corev1.ConfigMap, error)
	live := func(ctx context.Context, _ *corev1.ConfigMap) (*corev1.ConfigMap, error) {
		return c.CoreV1().ConfigMaps(c.ns).Get(ctx, probe, metav1.GetOptions{})
	}
	poll := func(every time.Duration) read {
		return func(ctx context.Context, written *corev1.ConfigMap) (cm *corev1.ConfigMap, err error) {
			err = wait.PollUntilContextCancel(ctx, every, true, func(context.Context) (bool, error) {
				if cm, err = c.lister.Get(probe); err != nil {
					return false, err
				}
				return atLeast(cm, written.ResourceVersion)
			})
			return cm, err
		}
	}
	mutations := cache.NewIntegerResourceVersionMutationCache(klog.Background(), c.informer.GetStore(), c.informer.GetIndexer(),
		time.Minute, false)
	return []peer{
		{"cache", nil, func(context.Context, *corev1.ConfigMap) (*corev1.ConfigMap, error) { return c.lister.Get(probe) }},
		{"fresh", nil, func(ctx context.Context, written *corev1.ConfigMap) (*corev1.ConfigMap, error) {
			if err := c.waiter.Wait(ctx, written.ResourceVersion); err != nil {
				return nil, err
			}
			return c.lister.Get(probe)
		}},
		{"live-if-behind", nil, func(ctx context.Context, written *corev1.ConfigMap) (*corev1.ConfigMap, error) {
			if ok, err := fresh.Reached(c.informer.GetStore(), written.ResourceVersion); !ok || err != nil {
				return live(ctx, written)
			}
			return c.lister.Get(probe)
		}},
		{"live", nil, live},
		{"mutation-cache", nil, func(_ context.Context, written *corev1.ConfigMap) (*corev1.ConfigMap, error) {
			mutations.Mutation(written)
			obj, _, err := mutations.GetByKey(c.ns + "/" + probe)
			cm, ok := obj.(*corev1.ConfigMap)
			if !ok && err == nil {
				err = fmt.Errorf("the MutationCache has a %T", obj)
			}
			return cm, err
		}},
		{"poll-10ms", nil, poll(10 * time.Millisecond)},
		{"poll-100ms", nil, poll(100 * time.Millisecond)},
	}
}

// controllerRuntime is the client of controller-runtime whose reads wait for its own writes, on the
// same connection.
func (c *chase) controllerRuntime(b *testing.B) peer {
	informers, err := crcache.New(c.config, crcache.Options{
		HTTPClient: c.http, DefaultNamespaces: map[string]crcache.Config{c.ns: {}},
	})
	check(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := informers.Start(ctx); err != nil {
			b.Error("controller-runtime's cache:", err)
		}
	})
	b.Cleanup(func() { cancel(); running.Wait() })
	both, err := crclient.New(c.config, crclient.Options{HTTPClient: c.http,
		Cache: &crclient.CacheOptions{Reader: informers, EnableReadYourWritesConsistency: new(true)}})
	check(b, err)
	key := crclient.ObjectKey{Namespace: c.ns, Name: probe}
	check(b, both.Get(b.Context(), key, &corev1.ConfigMap{})) // the first one starts the informer
	return peer{"controller-runtime", func(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
		return cm, both.Update(ctx, cm)
	}, func(ctx context.Context, _ *corev1.ConfigMap) (*corev1.ConfigMap, error) {
		cm := &corev1.ConfigMap{}
		return cm, both.Get(ctx, key, cm)
	}}
}

// writeAsOthers changes the hundred other ConfigMaps, that many a second, until the benchmark ends.
func (c *chase) writeAsOthers(b *testing.B, perSecond float32) {
	c.others = newClient(b, perSecond) // client-go's own rate limiter paces the writes
	if perSecond == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		var all errgroup.Group
		all.SetLimit(16)
		for i := 0; ctx.Err() == nil; i++ {
			all.Go(func() error {
				patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"at":"%d"}}}`, time.Now().UnixNano())
				_, err := c.others.CoreV1().ConfigMaps(c.ns).Patch(context.Background(), item(i%100), types.MergePatchType, patch,
					metav1.PatchOptions{})
				return err
			})
		}
		if err := all.Wait(); err != nil {
			b.Error("write as others would:", err)
		}
	})
	b.Cleanup(func() { cancel(); running.Wait() })
}
