package main

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"

	"client-go-lessons/internal/lesson"
)

// timeout lets the server end a watch, as it ends each one: after TimeoutSeconds, or after 30 to 60
// minutes. That is no error. If you have kept the resourceVersion of the last event, you go on from
// there and miss nothing, not even what changed while no watch was open.
func (f *follow) timeout(ctx context.Context, run *lesson.Run) error {
	configMaps := f.clientset.CoreV1().ConfigMaps(f.ns)
	list, err := configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	last := list.ResourceVersion

	start := time.Now()
	w, err := configMaps.Watch(ctx, metav1.ListOptions{
		ResourceVersion: last,
		TimeoutSeconds:  new(int64(1)), // a pointer to 1
	})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	if err := f.paintDoor(ctx, "green"); err != nil {
		return err
	}
	for e := range w.ResultChan() { // until the watch ends
		cm, err := configMap(e)
		if err != nil {
			return err
		}
		last = cm.ResourceVersion
		if ours(e) {
			run.Say("%-8s  %s  %s", e.Type, cm.Name, cm.Data["color"])
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	run.Say("the watch ended after %s", lesson.Duration(time.Since(start)))
	if err := f.paintDoor(ctx, "cyan"); err != nil {
		return err
	}
	run.Say("nobody watches, the door is painted cyan. Watch again, from the last event:")

	w, err = configMaps.Watch(ctx, metav1.ListOptions{ResourceVersion: last})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps again: %w", err)
	}
	defer w.Stop()
	e, err := next(ctx, w)
	if err != nil {
		return err
	}
	cm, err := configMap(e)
	if err != nil {
		return err
	}
	run.Say("%-8s  %s  %s", e.Type, cm.Name, cm.Data["color"])
	run.Wire(f.wire.Lap())
	return nil
}

// retry lets RetryWatcher do the same. You give it a function that begins a watch. It calls the
// function whenever a watch has ended, with the last resourceVersion that it has seen, and hands
// you one channel for all watches. It begins at most one watch a second, so that a server that
// ends them at once is not flooded.
func (f *follow) retry(ctx context.Context, run *lesson.Run) error {
	configMaps := f.clientset.CoreV1().ConfigMaps(f.ns)
	list, err := configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	begun := 0 // watches; only the watcher's goroutine uses it
	watcher := &cache.ListWatch{WatchFuncWithContext: func(
		ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
		switch begun {
		case 0:
			opts.TimeoutSeconds = new(int64(1))
		case 1: // the first has ended, the second has not begun
			if err := f.paintDoor(ctx, "black"); err != nil {
				if apierrors.IsNotFound(err) { // the namespace is gone, and will not come back
					giveUp(err)
				}
				return nil, err // the watcher logs it, and tries again
			}
		}
		begun++
		return configMaps.Watch(ctx, opts)
	}}
	for _, rv := range []string{"", "0"} {
		if _, err := toolswatch.NewRetryWatcherWithContext(ctx, rv, watcher); err == nil {
			return fmt.Errorf("a RetryWatcher from resourceVersion %q, which can miss changes", rv)
		}
	}
	run.Say(`from resourceVersion "" or "0": refused: neither names one state`)

	w, err := toolswatch.NewRetryWatcherWithContext(ctx, list.ResourceVersion, watcher)
	if err != nil {
		return fmt.Errorf("make a RetryWatcher: %w", err)
	}
	defer func() { w.Stop(); <-w.Done() }()
	if err := f.paintDoor(ctx, "blue"); err != nil {
		return err
	}
	for range 2 {
		e, err := next(ctx, w)
		if err != nil {
			return err
		}
		cm, err := configMap(e)
		if err != nil {
			return err
		}
		run.Say("%-8s  %s  %s", e.Type, cm.Name, cm.Data["color"])
	}
	run.Wire(f.wire.Lap())
	run.Say("The second change came between the watches. RetryWatcher begins at most")
	run.Say("one watch a second. After a 410 it passes the Error event on, and ends.")
	return nil
}
