package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// second makes two factories for the same thing, as programs do whose parts each make their own.
// Factories know nothing of each other: each has its own informer, its own watch, its own cache.
func (s *shared) second(ctx context.Context, run *lesson.Run) error {
	const n, size = 250, 4000
	if err := s.fill(ctx, n, size); err != nil {
		return err
	}
	s.wire.Lap() // filling is not part of it
	run.Say("for this step, %d ConfigMaps of %s", n, wire.Bytes(size))

	table := [][]any{{"factory", "WATCH", "new connections", "objects", "memory"}}
	var laps []wire.Lap
	var memory []int64
	before := heap()
	for _, which := range []string{"first", "second"} {
		factory := informers.NewSharedInformerFactoryWithOptions(s.clientset, 0,
			informers.WithNamespace(s.ns))
		running, cancel := context.WithCancelCause(ctx)
		defer factory.Shutdown() // after the cancel below; both run until this step returns
		defer cancel(nil)

		configMaps := factory.Core().V1().ConfigMaps()
		err := configMaps.Informer().SetWatchErrorHandlerWithContext(giveUp(cancel))
		if err != nil {
			return err
		}
		factory.StartWithContext(running)
		if err := factory.WaitForCacheSyncWithContext(running).AsError(); err != nil {
			return err
		}
		lap := s.wire.Lap()
		laps = append(laps, lap)

		list, err := configMaps.Lister().ConfigMaps(s.ns).List(labels.Everything())
		if err != nil {
			return fmt.Errorf("list from the cache: %w", err)
		}
		after := heap()
		memory = append(memory, max(0, after-before))
		before = after
		table = append(table, []any{which, lap.Requests["watch"], lap.Connections, len(list),
			wire.Bytes(memory[len(memory)-1])})
	}
	run.Table(table...)
	if laps[1].Requests["watch"] == 1 && memory[1] > n*size/2 {
		run.Say("Each factory has its own watch and its own copy: make one and pass it around.")
	}
	switch {
	case laps[1].Proto != "HTTP/2.0":
		run.Say("Over HTTP/1.1, each watch keeps a connection to itself as well.")
	case laps[1].Connections == 0:
		run.Say("But not, as the notes have it, its own connection: one carries both.")
	}
	return nil
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

// fill makes n ConfigMaps, eight at a time, the first one alone: it opens the connection that the
// others then share.
func (s *shared) fill(ctx context.Context, n, size int) error {
	create := func(i int) error {
		name := fmt.Sprintf("bulk-%03d", i)
		_, err := s.clientset.CoreV1().ConfigMaps(s.ns).Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Data:       map[string]string{"text": strings.Repeat("x", size)},
		}, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("create ConfigMap %s: %w", name, err)
		}
		return nil
	}
	if err := create(0); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var i atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for ctx.Err() == nil {
				next := int(i.Add(1))
				if next >= n {
					return
				}
				if err := create(next); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}
