package fresh

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers an informer: a List of nothing at resourceVersion 10, then the events that a test
// sends. Its time is that of the test's bubble.
type server struct {
	informer cache.SharedIndexInformer
	events   *watch.RaceFreeFakeWatcher
	waiter   *Waiter
	start    func()
	stop     func()
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{events: watch.NewRaceFreeFake()}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: "10"}}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			return s.events, nil
		},
	}
	s.informer = cache.NewSharedIndexInformer(
		cache.ToListWatcherWithWatchListSemantics(lw, listThenWatch{}), &corev1.ConfigMap{}, 0, nil)
	var err error
	if s.waiter, err = NewWaiter(s.informer); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	s.start = func() {
		running.Go(func() { s.informer.RunWithContext(ctx) })
	}
	s.stop = func() { cancel(); running.Wait() }
	return s
}

type listThenWatch struct{}

func (listThenWatch) IsWatchListSemanticsUnSupported() bool { return true }

// started returns a server with an informer that has synced.
func started(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	s.start()
	if !cache.WaitForCacheSync(t.Context().Done(), s.informer.HasSynced) {
		t.Fatal("the informer did not sync")
	}
	synctest.Wait()
	return s
}

// add sends an addition and returns when all has been done about it, so that what is sent next is
// handled by itself.
func (s *server) add(rv int) {
	s.events.Add(configMap(rv))
	synctest.Wait()
}

func configMap(rv int) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "app", ResourceVersion: strconv.Itoa(rv)}}
}

func TestWait(t *testing.T) {
	for _, c := range []struct {
		name    string
		version string
		events  func(*server) // sent one minute after Wait began
		want    time.Duration // how long Wait takes
		is      error         // what it returns
	}{
		{name: "an older version", version: "9"},
		{name: "the version of the list", version: "10"},
		{name: "an addition", version: "11", want: time.Minute,
			events: func(s *server) { s.events.Add(configMap(11)) }},
		{name: "a later event", version: "11", want: time.Minute,
			events: func(s *server) { s.events.Add(configMap(99)) }},
		{name: "a version with more digits", version: "99", want: time.Minute,
			events: func(s *server) { s.events.Add(configMap(100)) }},
		{name: "an update", version: "12", want: time.Minute,
			events: func(s *server) { s.add(11); s.events.Modify(configMap(12)) }},
		{name: "a deletion", version: "12", want: time.Minute,
			events: func(s *server) { s.add(11); s.events.Delete(configMap(12)) }},
		{name: "a bookmark, found by looking", version: "12", want: time.Minute + look,
			events: func(s *server) {
				time.Sleep(look / 2)
				s.events.Action(watch.Bookmark, configMap(12))
			}},
		{name: "not enough", version: "12", want: time.Hour, is: context.DeadlineExceeded,
			events: func(s *server) { s.add(11) }},
		{name: "an informer that is stopped", version: "12", want: time.Minute + look, is: ErrStopped,
			events: func(s *server) { time.Sleep(look / 2); s.stop() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := started(t)
				defer s.stop()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				start := time.Now()
				var sender sync.WaitGroup
				if c.events != nil {
					sender.Go(func() { time.Sleep(time.Minute); c.events(s) })
				}
				err := s.waiter.Wait(ctx, c.version)
				if took := time.Since(start); took != c.want || !errors.Is(err, c.is) {
					t.Errorf("Wait took %s and returned %v, want %s and %v", took, err, c.want, c.is)
				}
				sender.Wait()
			})
		})
	}
}

func TestWaitRefusesWhatIsNoVersionOfAnObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := started(t)
		defer s.stop()
		for _, version := range []string{"", "0", "07", "-1", "x"} {
			if err := s.waiter.Wait(t.Context(), version); err == nil {
				t.Errorf("Wait for %q returned no error", version)
			}
		}
	})
}

func TestWaitBeforeTheInformerIsStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		defer s.stop()
		start := time.Now()
		time.AfterFunc(time.Minute, s.start)
		if err := s.waiter.Wait(t.Context(), "10"); err != nil {
			t.Fatal(err)
		}
		// A sync of nothing calls no handler, so it is found by looking.
		if took := time.Since(start); took < time.Minute || took > time.Minute+look {
			t.Errorf("Wait took %s, want a minute and up to %s", took, look)
		}
	})
}

func TestWaitSaysWhereTheCacheIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := started(t)
		defer s.stop()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		err := s.waiter.Wait(ctx, "12")
		if !errors.Is(err, context.Canceled) || !strings.Contains(fmt.Sprint(err), `12, it is at "10"`) {
			t.Errorf("want both versions and context.Canceled, got: %v", err)
		}
		if len(s.waiter.waiting) != 0 {
			t.Errorf("%d left waiting", len(s.waiter.waiting))
		}
	})
}

func TestWaitNeedsAVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		defer s.stop()
		err := s.informer.SetTransform(func(obj any) (any, error) {
			cm, ok := obj.(*corev1.ConfigMap)
			if ok {
				cm.ResourceVersion = ""
			}
			return obj, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.start()
		s.events.Add(configMap(11))
		start := time.Now()
		if err := s.waiter.Wait(t.Context(), "11"); !errors.Is(err, ErrNoVersion) {
			t.Errorf("want ErrNoVersion, got %v", err)
		}
		if took := time.Since(start); took > 2*look {
			t.Errorf("Wait took %s to find out", took)
		}
	})
}

// TestWaitWithAFakeClientset: what a fake's Create returns has no version. Wait says so, before the
// first event, when the store still has the version of the list, and after it.
func TestWaitWithAFakeClientset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientset := fake.NewClientset()
		factory := informers.NewSharedInformerFactory(clientset, 0)
		informer := factory.Core().V1().ConfigMaps().Informer()
		waiter, err := NewWaiter(informer)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer factory.Shutdown()
		defer cancel()
		factory.StartWithContext(ctx)
		synctest.Wait()
		for _, at := range []string{"1", ""} { // of the list, and of an object
			if got := informer.GetStore().LastStoreSyncResourceVersion(); got != at {
				t.Errorf("the fake's store is at %q, want %q", got, at)
			}
			cm := configMap(0)
			cm.Name, cm.ResourceVersion = "app"+at, ""
			written, err := clientset.CoreV1().ConfigMaps("default").Create(ctx, cm, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := waiter.Wait(ctx, written.ResourceVersion); !errors.Is(err, ErrNoVersion) {
				t.Errorf("Wait for what the fake returned: %v, want ErrNoVersion", err)
			}
			synctest.Wait()
		}
		if err := waiter.Wait(ctx, "7"); !errors.Is(err, ErrNoVersion) {
			t.Errorf("Wait for a version that a test made up: %v, want ErrNoVersion", err)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := started(t)
		defer s.stop()
		if err := s.waiter.Close(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(look/2, func() { s.events.Add(configMap(11)) })
		start := time.Now()
		if err := s.waiter.Wait(t.Context(), "11"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != look {
			t.Errorf("without a handler Wait took %s, want %s", took, look)
		}
		if err := s.waiter.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

func TestNewWaiterOnAStoppedInformer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := started(t)
		s.stop()
		if _, err := NewWaiter(s.informer); err == nil {
			t.Error("no error")
		}
		if err := s.waiter.Close(); err != nil {
			t.Errorf("closed after the informer: %v", err)
		}
	})
}

// TestWaitTogether has many wait while events come in, and is most useful under -race. None may be
// woken up before the store has what it waits for, and none may be forgotten.
func TestWaitTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := started(t)
		defer s.stop()
		const last = 60
		start := time.Now()
		var all sync.WaitGroup
		for rv := 11; rv <= last; rv++ {
			for range 4 {
				all.Go(func() {
					err := s.waiter.Wait(t.Context(), strconv.Itoa(rv))
					if ok, e := Reached(s.informer.GetStore(), strconv.Itoa(rv)); !ok || e != nil || err != nil {
						t.Errorf("woken up for %d with %v, but reached is %v, %v", rv, err, ok, e)
					}
				})
			}
		}
		all.Go(func() {
			for rv := 11; rv <= last; rv++ {
				s.events.Modify(configMap(rv))
				if rv%3 == 0 {
					synctest.Wait() // so that some events come alone and some in a bunch
				}
			}
		})
		all.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("some were found by looking, after %s", took)
		}
	})
}

func TestReached(t *testing.T) {
	store := cache.NewStore(cache.MetaNamespaceKeyFunc)
	if ok, err := Reached(store, "1"); ok || err != nil {
		t.Errorf("a store that has seen nothing: %v, %v", ok, err)
	}
	if _, err := Reached(store, "0"); err == nil {
		t.Error(`"0" is the version of no object, but there is no error`)
	}
	if err := store.Add(configMap(100)); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]bool{"99": true, "100": true, "101": false, "1000": false} {
		if ok, err := Reached(store, version); ok != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", version, ok, err, want)
		}
	}
}

// BenchmarkWake is what an informer with a Waiter pays for an event when nobody waits.
func BenchmarkWake(b *testing.B) {
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &corev1.ConfigMap{}, 0, nil)
	waiter, err := NewWaiter(informer)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		waiter.wake()
	}
}
