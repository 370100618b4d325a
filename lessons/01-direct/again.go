package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/lesson"
)

// again reads twenty times more. The notes say that each call makes a new connection. The counter
// looks at the connection that each request was really sent on.
func (d *direct) again(ctx context.Context, run *lesson.Run) error {
	configMaps := d.clientset.CoreV1().ConfigMaps(d.ns)
	start := time.Now()
	for range 10 {
		if _, err := configMaps.List(ctx, metav1.ListOptions{}); err != nil {
			return fmt.Errorf("list ConfigMaps: %w", err)
		}
		if _, err := configMaps.Get(ctx, "database", metav1.GetOptions{}); err != nil {
			return fmt.Errorf("get ConfigMap database: %w", err)
		}
	}
	d.roundTrip = time.Since(start) / 20

	lap := d.wire.Lap()
	run.Wire(lap)
	if lap.Connections == 0 {
		run.Say("No: each was a new request on the open connection.")
		run.Say("(Also over HTTP/1.1, DISABLE_HTTP2=1, if each call waits for the last one.)")
	} else {
		run.Say("Something closed the connection on the way, so client-go opened another.")
	}
	return nil
}
