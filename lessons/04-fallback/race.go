package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/lesson"
)

// race updates a ConfigMap and asks the cache for it at once. The server has answered the write, so
// the new state is there; the cache learns of it from a watch event, which may still be on its way.
// The versions tell: equal means fresh here, since nobody else writes this object.
func (d *fallback) race(ctx context.Context, run *lesson.Run) error {
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
	run.Say("those were fresh after   half %s   nine of ten %s   slowest %s",
		lesson.Duration(d.natural.p(50)), lesson.Duration(d.natural.p(90)),
		lesson.Duration(d.natural.p(100)))
	run.Table(d.natural.histogram()...)
	run.Wire(d.wire.Lap())
	run.Say("Not always. The answer to a write races the event about that write, and the")
	run.Say("cache knows only what events have told it.")
	return nil
}
