package main

import (
	"context"
	"fmt"
	"runtime"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/lesson"
)

// leftOpen begins 150 watches and stops none, as a program does that watches in each request that
// it serves and forgets Stop. The server allows 100 streams on a connection.
func (f *follow) leftOpen(ctx context.Context, run *lesson.Run) error {
	const n = 150
	configMaps := f.clientset.CoreV1().ConfigMaps(f.ns)
	list, err := configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	f.wire.Lap()
	goroutines := runtime.NumGoroutine()
	var watches []watch.Interface
	defer func() {
		for _, w := range watches {
			w.Stop()
		}
	}()
	for range n {
		w, err := configMaps.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
		if err != nil {
			return fmt.Errorf("watch ConfigMaps: %w", err)
		}
		watches = append(watches, w)
	}
	more := runtime.NumGoroutine() - goroutines
	lap := f.wire.Lap()
	run.Say("%d watches without Stop: %d goroutines more", n, more)
	run.Wire(lap)
	if lap.Connections > 0 {
		run.Say("The server allows 100 streams on a connection, so client-go opened another.")
	}
	if lap.OpenWatches >= n {
		run.Say("All %d are still open, also on the server. So: defer w.Stop()", lap.OpenWatches)
	}
	return nil
}
