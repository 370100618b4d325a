package main

import (
	"context"
	"fmt"
	"runtime"

	"k8s.io/apimachinery/pkg/labels"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// second makes two factories for the same thing, as programs do whose parts each make their own.
// Factories know nothing of each other: each has its own informer, its own watch, its own cache.
func (s *shared) second(ctx context.Context, run *lesson.Run) error {
	const n, size = 250, 4000
	if err := createMany(ctx, s.clientset.CoreV1().ConfigMaps(s.ns), n, size); err != nil {
		return err
	}
	s.wire.Lap() // that is not part of it
	run.Say("for this step, %d ConfigMaps of %s", n, wire.Bytes(size))

	table := [][]any{{"factory", "WATCH", "new connections", "our objects", "memory"}}
	var laps []wire.Lap
	var memory []int64
	before := heap()
	for _, which := range []string{"first", "second"} {
		one := s.newCopy(ctx, s.clientset, 0)
		defer one.stop() // both run until this step returns
		if err := one.start(); err != nil {
			return err
		}
		lap := s.wire.Lap()
		laps = append(laps, lap)

		list, err := one.configMaps.Lister().ConfigMaps(s.ns).List(labels.Everything())
		if err != nil {
			return fmt.Errorf("list from the cache: %w", err)
		}
		after := heap()
		memory = append(memory, max(0, after-before))
		before = after
		table = append(table, []any{which, lap.Requests["watch"], lap.Connections,
			len(names(list)), wire.Bytes(memory[len(memory)-1])})
	}
	run.Table(table...)
	if laps[1].Requests["watch"] == 1 && memory[1] > n*size/2 {
		run.Say("Each factory has its own watch and its own copy: make one and pass it around.")
	}
	switch {
	case laps[1].Proto != "HTTP/2.0":
		run.Say("Over HTTP/1.1, each watch keeps a connection to itself as well.")
	case laps[1].Connections == 0:
		run.Say("No new connection: over HTTP/2, one connection carries both watches.")
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
