package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/bench/internal/result"
	"client-go-lessons/fresh"
)

// load is what others write while we measure.
type load struct {
	name  string
	asked int // a second; flatOut is as fast as the machine can
}

const flatOut = -1

var loads = []load{{"0", 0}, {"100", 100}, {"500", 500}, {"max", flatOut}}

func isItem(obj any) bool {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	cm, ok := obj.(*corev1.ConfigMap)
	return ok && strings.HasPrefix(cm.Name, "item-")
}

// sightings are the moments at which each version of the probe's object was first seen.
type sightings struct {
	mu   sync.Mutex
	seen map[string]time.Time
	more chan struct{} // closed and replaced at each sighting
}

func newSightings() *sightings {
	return &sightings{seen: map[string]time.Time{}, more: make(chan struct{})}
}

func (s *sightings) see(version string) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.seen[version]; ok {
		return
	}
	s.seen[version] = now
	close(s.more)
	s.more = make(chan struct{})
}

// when waits until the version is seen, and returns the moment at which it was.
func (s *sightings) when(ctx context.Context, version string) (time.Time, error) {
	for {
		s.mu.Lock()
		at, ok := s.seen[version]
		delete(s.seen, version)
		more := s.more
		s.mu.Unlock()
		if ok {
			return at, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return at, fmt.Errorf("no event for resourceVersion %s: %w", version, context.Cause(ctx))
		}
	}
}

// chase is an informer and a raw watch on one connection, both of one namespace.
type chase struct {
	*line
	ns     string
	lister corelisters.ConfigMapNamespaceLister
	waiter *fresh.Waiter
	raw    *sightings
	store  *sightings
	stop   func()
}

const probe = "probe"

func (l *lab) newChase(ctx context.Context) (_ *chase, err error) {
	c := &chase{raw: newSightings(), store: newSightings(), stop: func() {}}
	l.mu.Lock()
	c.ns, err = l.scratch(ctx) // of its own: it is changed
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := l.load(ctx, l.cluster.Config, c.ns, small(100)); err != nil {
		return nil, err
	}
	if c.line, err = l.dial(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	factory := informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithNamespace(c.ns))
	c.stop = func() {
		cancel()
		factory.Shutdown()
		running.Wait()
		c.close()
	}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	api := c.client.CoreV1().ConfigMaps(c.ns)
	if _, err := api.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: probe}}, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	informer := factory.Core().V1().ConfigMaps().Informer()
	if c.waiter, err = fresh.NewWaiter(informer); err != nil {
		return nil, err
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(_, obj any) {
		if cm, ok := obj.(*corev1.ConfigMap); ok && cm.Name == probe {
			c.store.see(cm.ResourceVersion)
		}
	}})
	if err != nil {
		return nil, err
	}
	c.lister = factory.Core().V1().ConfigMaps().Lister().ConfigMaps(c.ns)
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return nil, err
	}
	w, err := api.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	running.Go(func() {
		defer w.Stop()
		for {
			select {
			case e, ok := <-w.ResultChan():
				if !ok {
					return
				}
				if cm, ok := e.Object.(*corev1.ConfigMap); ok && cm.Name == probe && e.Type == watch.Modified {
					c.raw.see(cm.ResourceVersion)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return c, nil
}

// write begins to write as others would, on a connection of its own. The function that it returns
// ends that and says how many a second there were.
func (l *lab) write(ctx context.Context, ns string, what load) (func() (float64, error), error) {
	n, err := l.dial()
	if err != nil {
		return nil, err
	}
	const writers = 8
	ctx, give := context.WithCancelCause(ctx)
	stop := make(chan struct{}) // requests that are under way are not cut
	due := make(chan struct{})  // one for each write
	var written atomic.Int64
	var all sync.WaitGroup
	all.Go(func() {
		defer close(due)
		var tick <-chan time.Time
		if what.asked > 0 {
			t := time.NewTicker(time.Second / time.Duration(what.asked))
			defer t.Stop()
			tick = t.C
		}
		to := due
		if what.asked == 0 {
			to = nil
		}
		for {
			if tick != nil {
				select {
				case <-tick:
				case <-stop:
					return
				case <-ctx.Done():
					return
				}
			}
			select {
			case to <- struct{}{}:
			case <-stop:
				return
			case <-ctx.Done():
				return
			}
		}
	})
	began := time.Now()
	for w := range writers {
		all.Go(func() {
			i := w
			for range due {
				if err := touch(ctx, n, ns, i%100); err != nil {
					give(fmt.Errorf("write as others would: %w", err))
					return
				}
				i += writers
				written.Add(1)
			}
		})
	}
	return func() (float64, error) {
		rate := float64(written.Load()) / time.Since(began).Seconds()
		close(stop)
		all.Wait()
		n.close()
		err := context.Cause(ctx)
		give(nil)
		return rate, err
	}, nil
}

// histogram has the limits of lesson 04.
var histogram = []time.Duration{
	100 * time.Microsecond, 300 * time.Microsecond, time.Millisecond, 3 * time.Millisecond,
	10 * time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond,
}

// chased is what the probes of one load have measured so far.
type chased struct {
	answer, raw, floor, store, wait, behind *result.Recorder
	stale                                   int
	rates                                   []float64
}

// probes writes the probe's object again and again, at most each pace, and follows every write.
func (c *chase) probes(ctx context.Context, n int, pace time.Duration, r *chased) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(n)*pace+time.Minute)
	defer cancel()
	api := c.client.CoreV1().ConfigMaps(c.ns)
	cm, err := api.Get(ctx, probe, metav1.GetOptions{})
	if err != nil {
		return err
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		cm.Data = map[string]string{"count": strconv.Itoa(i)}
		sent := time.Now()
		if cm, err = api.Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("update the probe: %w", err)
		}
		answered := time.Now()
		cached, err := c.lister.Get(probe)
		if err != nil {
			return err
		}
		if cached.ResourceVersion != cm.ResourceVersion {
			r.stale++
		}
		if err := c.waiter.Wait(ctx, cm.ResourceVersion); err != nil {
			return err
		}
		waited := time.Now()
		raw, err := c.raw.when(ctx, cm.ResourceVersion)
		if err != nil {
			return err
		}
		store, err := c.store.when(ctx, cm.ResourceVersion)
		if err != nil {
			return err
		}
		r.answer.Add(answered.Sub(sent))
		r.raw.Add(raw.Sub(sent))
		r.floor.Add(max(raw.Sub(sent), answered.Sub(sent)))
		r.store.Add(store.Sub(sent))
		r.wait.Add(waited.Sub(sent))
		r.behind.Add(max(0, store.Sub(answered)))
	}
	return nil
}

// lag is the fourth part. The loads take turns.
func (l *lab) lag(ctx context.Context, loads []load, probes, rounds, workers int) ([]result.Load, error) {
	c, err := l.newChase(ctx)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	got := make([]*chased, len(loads))
	tried := make([][]*tried, len(loads))
	for i := range loads {
		got[i] = &chased{answer: result.NewRecorder(), raw: result.NewRecorder(), floor: result.NewRecorder(),
			store: result.NewRecorder(), wait: result.NewRecorder(), behind: result.NewRecorder()}
		for range c.remedies() {
			tried[i] = append(tried[i], newTried())
		}
	}
	for round := range rounds {
		l.say.step("staleness: round %d of %d", round+1, rounds)
		for i, what := range loads {
			l.say.detail("%s writes a second by others", what.name)
			end, err := l.write(ctx, c.ns, what)
			if err != nil {
				return nil, err
			}
			err = c.probes(ctx, probes/rounds, 8*time.Millisecond, got[i])
			for r, remedy := range c.remedies() {
				if err != nil || workers == 0 {
					break
				}
				err = c.try(ctx, remedy, workers, tried[i][r])
			}
			rate, failed := end()
			if err := errors.Join(failed, err); err != nil {
				return nil, err
			}
			got[i].rates = append(got[i].rates, rate)
		}
	}
	var out []result.Load
	for i, what := range loads {
		g := got[i]
		one := result.Load{
			Name: what.name, Asked: what.asked, Written: result.Median(g.rates...), Probes: g.wait.N(), Stale: g.stale,
			Answer: g.answer.Latency(), Raw: g.raw.Latency(), Floor: g.floor.Latency(), Store: g.store.Latency(),
			Wait: g.wait.Latency(), Behind: g.behind.Latency(), Histogram: g.behind.Buckets(histogram...),
		}
		for r, remedy := range c.remedies() {
			if t := tried[i][r]; t.reads > 0 {
				one.Remedies = append(one.Remedies, result.Remedy{Name: remedy.name, Reads: t.reads, Stale: t.stale,
					Requests: float64(t.requests) / float64(t.reads), Latency: t.answers.Latency()})
			}
		}
		out = append(out, one)
	}
	return out, nil
}
