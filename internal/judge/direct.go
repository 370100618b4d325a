package judge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/exercise"
	"client-go-lessons/internal/observer"
)

// heldBack is the mean wait before a request from which client-go is taken to have held it back. By
// default it sends 5 a second, one every 200 ms, which leaves this much even if the server takes
// most of that time to answer.
const heldBack = 20 * time.Millisecond

// burst is how many requests client-go sends at once by default. What counts is what comes after.
const burst = 10

// throttled measures the time between two requests in which none is under way: the server has
// nothing to do with it. Where the server is so slow that the default limit is never met, nothing
// can be said, and the program is run again.
func throttled(ctx context.Context, t *trial) (string, error) {
	const runs = 5
	var each time.Duration
	for range runs {
		mark := t.observer.Mark()
		if err := t.countBooks(ctx); err != nil {
			return "", err
		}
		requests := t.requests(mark).Requests
		waits := idle(requests)
		if len(waits) <= burst {
			return fmt.Sprintf("All books are counted. Your program sent %s.", t.sent()), nil
		}
		wait := usual(waits[burst:])
		took := sum(apart(requests))
		good := fmt.Sprintf("All books are counted. Your program sent %d requests in %s, with %s between the end of one and the next.",
			len(requests), round(took), round(wait))
		var served time.Duration
		for _, r := range requests {
			served += r.Duration
		}
		each = served / time.Duration(len(requests))
		switch atLeast := time.Duration(len(requests)-burst) * time.Second / 5; {
		case wait >= heldBack:
			return "", notYet("Your program sent %d requests in %s. Answering them took %s in all. After the first %d, your program "+
				"waited %s before each, with no request under way. The server did not ask for that. client-go held them back.",
				len(requests), round(took), round(served), burst, round(wait))
		case took < atLeast:
			return good, nil
		}
		t.program.kill()
	}
	return "", fmt.Errorf("the cluster takes %s for one answer: too slow to see whether client-go holds requests back. "+
		"Judge again when the machine is less busy", round(each))
}

// countBooks runs the program once and looks whether it counts right.
func (t *trial) countBooks(ctx context.Context) error {
	if err := t.start(); err != nil {
		return err
	}
	if err := t.must(ctx, `print "books:"`, func() bool { return len(t.program.lines("books:")) > 0 }); err != nil {
		return err
	}
	list, err := t.cms.List(ctx, metav1.ListOptions{})
	if err != nil {
		return judges(err)
	}
	books := 0
	for _, cm := range list.Items {
		n, _ := strconv.Atoi(cm.Data["books"]) // the cluster's own ConfigMap has none
		books += n
	}
	if got := t.program.lines("books:")[0]; got != strconv.Itoa(books) {
		return notYet("Your program counted %s books. On the %d shelves there are %d.", got, exercise.Shelves, books)
	}
	return nil
}

// usual is the mean without the three longest: a machine may stall now and then.
func usual(waits []time.Duration) time.Duration {
	waits = slices.Sorted(slices.Values(waits))
	waits = waits[:max(1, len(waits)-3)]
	return sum(waits) / time.Duration(len(waits))
}

func sum(times []time.Duration) (all time.Duration) {
	for _, d := range times {
		all += d
	}
	return all
}

// apart returns the time from the start of each request to that of the next.
func apart(requests []observer.Request) (times []time.Duration) {
	for i := 1; i < len(requests); i++ {
		times = append(times, requests[i].Start.Sub(requests[i-1].Start))
	}
	return times
}

// idle returns the time before each request, but the first, in which no other was under way.
func idle(requests []observer.Request) (waits []time.Duration) {
	slices.SortFunc(requests, func(a, b observer.Request) int { return cmp.Compare(a.ID, b.ID) })
	var end time.Time
	for i, r := range requests {
		if i > 0 {
			waits = append(waits, max(0, r.Start.Sub(end)))
		}
		if e := r.Start.Add(r.Duration); e.After(end) {
			end = e
		}
	}
	return waits
}

// round writes d as people read it.
func round(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
