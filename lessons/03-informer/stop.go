package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
)

// stop ends the copy of step fill: the context that it was started with is canceled (or, with
// Start(stopCh), the channel closed), and Shutdown waits until its goroutines are gone: all but
// one, which ends a moment later. Shutdown without the cancel waits for ever.
//
// One informer can be run without its factory's Start, by Run, which blocks until stopCh is closed.
func (s *shared) stop(ctx context.Context, run *lesson.Run) error {
	table := [][]any{{"", "watches open", "goroutines"}}
	watches, routines := s.wire.Lap().OpenWatches, goroutines()
	s.copy.cancel(nil)
	s.copy.factory.Shutdown()
	watchesLeft, left := s.wire.Lap().OpenWatches, goroutinesLeft(ctx)
	table = append(table, []any{"cancel the context, factory.Shutdown()",
		fmt.Sprintf("%d → %d", watches, watchesLeft), fmt.Sprintf("%d → %d", routines, left)})
	clean := watchesLeft+left == 0

	single := s.newCopy(ctx, s.clientset, 0) // never started by its factory
	defer single.stop()
	inf := single.configMaps.Informer()
	if err := inf.SetWatchErrorHandlerWithContext(giveUp(single.cancel)); err != nil {
		return err
	}
	stopCh, returned := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(returned)
		inf.Run(stopCh)
	}()
	end := sync.OnceFunc(func() {
		close(stopCh)
		<-returned
	})
	defer end()
	if !cache.WaitFor(single.running, "", inf.HasSyncedChecker()) {
		return context.Cause(single.running)
	}
	watches, routines = s.wire.Lap().OpenWatches, goroutines()
	end()
	watchesLeft, left = s.wire.Lap().OpenWatches, goroutinesLeft(ctx)
	table = append(table, []any{"close(stopCh), wait for inf.Run(stopCh)",
		fmt.Sprintf("%d → %d", watches, watchesLeft), fmt.Sprintf("%d → %d", routines, left)})
	clean = clean && watchesLeft+left == 0
	run.Table(table...)
	if clean {
		run.Say("No request and no goroutine is left.")
	}

	list, err := s.copy.configMaps.Lister().ConfigMaps(s.ns).List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list from the cache: %w", err)
	}
	run.Say("The stopped cache still answers: %d ConfigMaps of ours, as they were.",
		len(names(list)))
	return nil
}

// goroutinesLeft counts those that do not end. There is one in each informer that Shutdown and Run
// do not wait for: it closes a queue when the informer is told to stop, and ends a moment later.
func goroutinesLeft(ctx context.Context) (n int) {
	_ = wait.PollUntilContextTimeout(ctx, time.Millisecond, time.Second, true,
		func(context.Context) (bool, error) {
			n = goroutines()
			return n == 0, nil
		})
	return n
}

// goroutines counts those that are in client-go's informers at this moment.
func goroutines() (n int) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(stack, "k8s.io/client-go/tools/cache.") {
			n++
		}
	}
	return n
}
