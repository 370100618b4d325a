package judge

import (
	"context"
	"fmt"
	"time"

	"client-go-lessons/internal/observer"
)

// lag is how long a program must send nothing until the judge lets its cache catch up. A program
// that waits for its cache gets on; one that goes on asking an old cache learns nothing from it,
// however slow the machine is.
const lag = 1500 * time.Millisecond

// StaleFromFirstWrite starts the program, holds its first write, lets meanwhile happen what the
// cache will not know until later, and lets the program run to its end, or until enough is true.
func (t *Trial) StaleFromFirstWrite(ctx context.Context, what string, meanwhile func() error, enough func() bool) error {
	events, write := observer.NewGate(), observer.NewGate()
	events.Open()
	t.Inject(observer.Match{Verb: "watch"}, observer.HoldBody(events))
	t.Inject(observer.Match{Func: Writes, To: 1}, observer.HoldRequest(write))
	if err := t.Start(); err != nil {
		return err
	}
	if err := t.Must(ctx, what, func() bool { return t.Requests().Where(Writes).Count() > 0 }); err != nil {
		return err
	}
	events.Shut()
	if err := meanwhile(); err != nil {
		return err
	}
	write.Open()
	sent, quiet := 0, time.Now()
	_, err := t.Until(ctx, "end", func() bool { return t.Ended() || enough() }, func() error {
		requests := t.Requests()
		busy := requests.Open().Where(func(r observer.Request) bool { return r.Verb != "watch" }).Count() > 0
		if n := requests.Count(); n != sent || busy {
			sent, quiet = n, time.Now()
		}
		if time.Since(quiet) > lag {
			events.Open()
		}
		return nil
	})
	if err == nil {
		t.Kill() // enough may be true of one that would go on
	}
	return err
}

// Round writes d as people read it.
func Round(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
