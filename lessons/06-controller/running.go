package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// shared is what the steps share. They write by a clientset that is not counted: they are the users
// whose ConfigMaps the controller looks after.
type shared struct {
	config     *rest.Config
	ns         string
	clientset  *kubernetes.Clientset
	configMaps typedcorev1.ConfigMapInterface
}

func (s *shared) connect(_ context.Context, run *lesson.Run) (err error) {
	s.config, s.ns = rest.CopyConfig(run.Config), run.Namespace
	s.config.QPS = -1                  // no client-side rate limit: lesson 01 shows what it does
	s.config.DisableCompression = true // so that the sizes that are printed are those on the wire
	wire.StopQuietly(s.config)         // or client-go may log a watch's end when it is stopped

	// The steps say what the controller would log.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if s.clientset, err = kubernetes.NewForConfig(s.config); err != nil {
		return err
	}
	s.configMaps = s.clientset.CoreV1().ConfigMaps(s.ns)
	return nil
}

// running is a controller that a step watches, and whose watch events it can hold back.
type running struct {
	*controller
	clientset *kubernetes.Clientset
	wire      *wire.Counter
	lag       *wire.Lag
	outage    *wire.Outage

	during func() // called by the worker in each reconcile; to be set before start

	mu       sync.Mutex
	tries    map[string][]time.Time // when each name was reconciled
	done     map[string]int         // reconciles that have ended
	now      map[string]int         // reconciles that are under way
	together int                    // most at the same time, of one name

	seen  int // requests for the Lease, of a replica that does not lead
	stop  context.CancelFunc
	ended chan error
}

// newRunning makes a controller, which start starts.
func (s *shared) newRunning() (*running, error) {
	cfg := rest.CopyConfig(s.config)
	r := &running{tries: map[string][]time.Time{}, done: map[string]int{}, now: map[string]int{},
		during: func() {}, stop: func() {}, ended: make(chan error, 1)}
	r.outage = wire.BreakWatches(cfg)
	r.lag = wire.DelayWatches(cfg)
	r.wire = wire.Count(cfg)
	var err error
	if r.clientset, err = kubernetes.NewForConfig(cfg); err != nil {
		return nil, err
	}
	if r.controller, err = newController(r.clientset, s.ns); err != nil {
		return nil, err
	}
	r.reconcile = r.watched
	return r, nil
}

// watched is the controller's reconcile, noted.
func (r *running) watched(ctx context.Context, name cache.ObjectName) error {
	r.mu.Lock()
	r.tries[name.Name] = append(r.tries[name.Name], time.Now())
	r.now[name.Name]++
	r.together = max(r.together, r.now[name.Name])
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.now[name.Name]--
		r.done[name.Name]++
	}()
	r.during()
	return r.summarize(ctx, name)
}

// start runs the controller, or what work makes of the controller's run.
func (r *running) start(ctx context.Context, work func(context.Context) error) {
	ctx, r.stop = context.WithCancel(ctx)
	go func() { r.ended <- work(ctx) }()
}

// end stops the controller, and returns when it has finished what was in its queue. A second call
// returns what the first one returned.
func (r *running) end() error {
	r.stop()
	err := <-r.ended
	r.ended <- err
	r.queue.ShutDown() // also if it never ran
	return err
}

// ready returns when the controller has looked at all that there is. The wire counts from there.
func (r *running) ready(ctx context.Context) error {
	err := r.until(ctx, "the controller has looked at app", func() (bool, error) {
		return r.reconciled("app") > 0 && r.idle(), nil
	})
	r.wire.Lap()
	return err
}

// started is a controller that is ready.
func (s *shared) started(ctx context.Context) (*running, error) {
	r, err := s.newRunning()
	if err != nil {
		return nil, err
	}
	r.start(ctx, r.run)
	if err := r.ready(ctx); err != nil {
		return nil, errors.Join(err, r.end())
	}
	return r, nil
}

// idle tells whether nothing is in the queue, and nothing under way.
func (r *running) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.now {
		if n > 0 {
			return false
		}
	}
	return r.queue.Len() == 0
}

// reconciled is how often names that begin so were reconciled, up to now.
func (r *running) reconciled(name string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for of, times := range r.done {
		if strings.HasPrefix(of, name) {
			n += times
		}
	}
	return n
}

// until waits until done is true, and asks every few milliseconds. It gives up when the controller
// does.
func (r *running) until(ctx context.Context, what string, done func() (bool, error)) error {
	err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, time.Minute, true,
		func(context.Context) (bool, error) {
			select {
			case err := <-r.ended:
				r.ended <- err // for end
				return false, fmt.Errorf("the controller has ended: %w", err)
			default:
				return done()
			}
		})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("after a minute, still not: %s", what)
	}
	return err
}
