package judge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/e2e/observer"
	"client-go-lessons/internal/exercise"
)

// heldBack is the wait before a request from which client-go is taken to have held it back. By
// default it sends 5 a second, one every 200 ms, which leaves this much even if the server takes
// most of that time to answer.
const heldBack = 30 * time.Millisecond

// throttled measures the time between two requests in which none is under way: the server has
// nothing to do with it. Their lower quartile does not mind a machine that stalls now and then.
func throttled(ctx context.Context, t *trial) (string, error) {
	if err := t.start(); err != nil {
		return "", err
	}
	// The first ten go out at once by default, so what counts is what comes after.
	const burst = 10
	if err := t.must(ctx, `print "books:"`, func() bool { return len(t.program.lines("books:")) > 0 }); err != nil {
		return "", err
	}
	list, err := t.cms.List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", judges(err)
	}
	books := 0
	for _, cm := range list.Items {
		n, _ := strconv.Atoi(cm.Data["books"]) // the cluster's own ConfigMap has none
		books += n
	}
	if got := t.program.lines("books:")[0]; got != strconv.Itoa(books) {
		return "", notYet("Your program counted %s books. On the %d shelves there are %d.", got, exercise.Shelves, books)
	}
	requests := t.requests().Requests
	waits := idle(requests)
	if len(waits) <= burst {
		return fmt.Sprintf("%d books. Your program sent %s.", books, t.sent()), nil
	}
	spacing := quantile(waits[burst:], 0.25)
	var all, served time.Duration
	for _, w := range waits {
		all += w
	}
	for _, r := range requests {
		served += r.Duration
	}
	if spacing >= heldBack {
		return "", notYet("Your program sent %s. Answering took %s in all. For %s there was no request under way: "+
			"after the first %d, one was sent every %s. The server did not ask for that. client-go held them back.",
			t.sent(), round(served), round(all), burst, round(quantile(apart(requests)[burst:], 0.5)))
	}
	return fmt.Sprintf("%d books. Your program sent %s, with %s between the end of one and the next (median).",
		books, t.sent(), round(quantile(waits, 0.5))), nil
}

// quantile returns the value that a share q of all is below.
func quantile(all []time.Duration, q float64) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[int(q*float64(len(all)))]
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
