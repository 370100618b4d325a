package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// connections looks at what a watch is on the wire. Over HTTP/2, which client-go uses if it can, a
// watch is one of many streams on a connection. HTTP/1.1 has no streams: a watch keeps its
// connection to itself, and only closing the connection stops the watch.
func (f *follow) connections(ctx context.Context, run *lesson.Run) error {
	cfg := rest.CopyConfig(f.config)
	cfg.NextProtos = []string{"http/1.1"} // as where a proxy speaks nothing newer
	http1 := wire.Count(cfg)
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	table := [][]any{{"new connections for", "LIST", "3 WATCH", "Stop all, LIST"}}
	var opened, reopened []int
	var protos []string
	for _, c := range []struct {
		clientset *kubernetes.Clientset
		wire      *wire.Counter
	}{{f.clientset, f.wire}, {clientset, http1}} {
		configMaps := c.clientset.CoreV1().ConfigMaps(f.ns)
		list, err := configMaps.List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("list ConfigMaps: %w", err)
		}
		listed := c.wire.Lap()

		var watches []watch.Interface
		for range 3 {
			w, err := configMaps.Watch(ctx, metav1.ListOptions{
				ResourceVersion: list.ResourceVersion,
			})
			if err != nil {
				return fmt.Errorf("watch ConfigMaps: %w", err)
			}
			defer w.Stop() // in case of an error below; it may be called twice
			watches = append(watches, w)
		}
		watched := c.wire.Lap()

		for _, w := range watches {
			w.Stop()
		}
		if _, err := configMaps.List(ctx, metav1.ListOptions{}); err != nil {
			return fmt.Errorf("list ConfigMaps: %w", err)
		}
		again := c.wire.Lap()
		protos = append(protos, strings.TrimSuffix(listed.Proto, ".0"))
		table = append(table, []any{protos[len(protos)-1],
			listed.Connections, watched.Connections, again.Connections})
		opened = append(opened, watched.Connections)
		reopened = append(reopened, again.Connections)
	}
	run.Table(table...)
	switch {
	case protos[0] != "HTTP/2":
		run.Say("Here it did: there is no HTTP/2 between you and the server.")
	case opened[0] == 0 && reopened[0] == 0:
		run.Say("No: a watch is a long request, one stream on the connection that is there.")
	default:
		run.Say("Something closed the connection on the way, so client-go opened another.")
	}
	if opened[1] > 0 && reopened[1] > 0 {
		run.Say("Over HTTP/1.1 each watch has its own (watch 1 uses that of the LIST), and")
		run.Say("Stop closes that connection.")
	}
	return nil
}

// stop ends a watch. Stop closes the channel. So do the end of ctx, the server's timeout and a
// broken stream. What arrives between Stop and the closing does not count: it may be an Error event
// that client-go makes itself, about the read that was cut short.
func (f *follow) stop(ctx context.Context, run *lesson.Run) error {
	configMaps := f.clientset.CoreV1().ConfigMaps(f.ns)
	w, err := configMaps.Watch(ctx, metav1.ListOptions{ResourceVersion: f.version})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop() // it may be called twice
	before := f.wire.Lap()
	run.Wire(before)

	start := time.Now()
	w.Stop()
	for range w.ResultChan() { // until it is closed
	}
	closed := time.Since(start)
	if _, err := configMaps.Get(ctx, "door", metav1.GetOptions{}); err != nil {
		return fmt.Errorf("get ConfigMap door: %w", err)
	}
	after := f.wire.Lap()
	run.Say("open watches: %d, after Stop: %d; the channel was closed after %s",
		before.OpenWatches, after.OpenWatches, lesson.Duration(closed))
	run.Wire(after)
	if after.Connections == 0 {
		run.Say("Stop ends the request. The connection stays: the GET went over the same one.")
	} else {
		run.Say("Something closed the connection as well, so the GET opened another.")
	}

	const spin = 10 * time.Millisecond
	empty := 0
	for start := time.Now(); time.Since(start) < spin && ctx.Err() == nil; {
		e := <-w.ResultChan() // wrong on purpose: without ok it looks like an event
		if e.Type == "" && e.Object == nil {
			empty++
		}
	}
	run.Say("In %s, a loop without a check of ok got %d empty events.",
		lesson.Duration(spin), empty)
	return nil
}
