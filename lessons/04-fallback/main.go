// Lesson 04 lives with a cache that is behind.
//
// What a lister answers is as old as the last watch event that came in. Most of the time that is a
// matter of milliseconds, and right after a write of your own is when you notice. You measure it,
// then try five ways to deal with it on the same work, and see which errors a stale copy leads to
// and how to be safe from them.
//
//	go run ./lessons/04-fallback
//
// Step 1 is in this file, the others are in late.go, compare.go with remedies.go, conflict.go,
// create.go and notthere.go.
package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/lesson"
)

func main() {
	d := &fallback{}
	lesson.Main(lesson.Lesson{
		Name:  "04-fallback",
		Title: "When the cache is behind",
		About: "How stale a lister gets, five ways to live with it, and what each costs.",

		ConfigMaps: examples(),
		Setup:      d.connect,
		Steps: []lesson.Step{
			{Name: "write", Title: "Write, then read the cache at once",
				Claims: "N24", Run: d.why(d.write)},
			{Name: "late", Title: "The same with events that come late",
				Claims: "N25 N26", Run: d.why(d.late)},
			{Name: "remedies", Title: "Five ways to live with it",
				Claims: "N26 N27", Run: d.why(d.compare)},
			{Name: "conflict", Title: "Save a change to a stale copy",
				Claims: "N26 N27", Run: d.why(d.conflict)},
			{Name: "create", Title: "Create what the cache does not show yet",
				Claims: "N27", Run: d.why(d.create)},
			{Name: "not-there", Title: "Not there, or not known?",
				Claims: "N27", Run: d.notThere},
		},
		Sum:   d.sum,
		Close: d.close,
	})
}

// write updates a ConfigMap and asks the cache for it at once. The server has answered the write,
// so the new state is there; the cache learns of it from a watch event, which may still be on its
// way. The versions tell: equal means fresh here, since nobody else writes this object.
func (d *fallback) write(ctx context.Context, run *lesson.Run) error {
	const writes = 500
	configMaps := d.clientset.CoreV1().ConfigMaps(d.ns)
	cm, err := configMaps.Get(ctx, "app", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get ConfigMap app: %w", err)
	}
	for i := range writes {
		cm.Data["count"] = strconv.Itoa(i)
		written, err := configMaps.Update(ctx, cm, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("update ConfigMap app: %w", err)
		}
		start := time.Now()
		cached, err := d.lister.Get("app")
		if err != nil {
			return fmt.Errorf("read ConfigMap app from the cache: %w", err)
		}
		if cached.ResourceVersion != written.ResourceVersion {
			if err := d.waiter.Wait(ctx, written.ResourceVersion); err != nil {
				return err
			}
			d.natural = append(d.natural, time.Since(start))
		}
		cm = written
	}

	run.Say("stale on first read: %d of %d", len(d.natural), writes)
	if len(d.natural) == 0 {
		run.Wire(d.wire.Lap())
		run.Say("None this time: each event was faster than the answer. Nothing promises that.")
		return nil
	}
	run.Say("those were fresh after   p50 %s   p99 %s   max %s", lesson.Duration(d.natural.p(50)),
		lesson.Duration(d.natural.p(99)), lesson.Duration(d.natural.p(100)))
	run.Table(d.natural.histogram()...)
	run.Wire(d.wire.Lap())
	run.Say("A write's answer races the event about it, and the cache waits for the event.")
	return nil
}
