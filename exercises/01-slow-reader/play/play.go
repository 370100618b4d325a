// Package play is what the judge does in exercise 01.
package play

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"client-go-lessons/internal/judge"
	"client-go-lessons/internal/observer"
)

// heldBack is the mean wait before a request from which client-go is taken to have held it back. By
// default it sends 5 a second, one every 200 ms, which leaves this much even if the server takes
// most of that time to answer.
const heldBack = 20 * time.Millisecond

// burst is how many requests client-go sends at once by default. What counts is what comes after.
const burst = 10

// Play measures the time between two requests in which none is under way: the server has
// nothing to do with it. Where the server is so slow that the default limit is never met, nothing
// can be said, and the program is run again.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	const runs = 5
	var each time.Duration
	for range runs {
		mark := t.Mark()
		if err := countBooks(ctx, t); err != nil {
			return "", err
		}
		requests := t.Requests(mark).Requests
		if len(requests) == 0 {
			return "", judge.NotYet("Your program sent no request at all. The books are on the server.")
		}
		waits := idle(requests)
		if len(waits) <= burst {
			return fmt.Sprintf("All books are counted. Your program sent %s.", t.Sent()), nil
		}
		wait := usual(waits[burst:])
		took := sum(apart(requests))
		var served time.Duration
		for _, r := range requests {
			served += r.Duration
		}
		each = served / time.Duration(len(requests))
		switch atLeast := time.Duration(len(requests)-burst) * time.Second / 5; {
		case wait >= heldBack:
			return "", judge.NotYet("Your program sent %d requests in %s. Answering them took %s in all. "+
				"After the first %d, your program waited %s before each, with no request under way. "+
				"The server did not ask for that. client-go held them back.",
				len(requests), judge.Round(took), judge.Round(served), burst, judge.Round(wait))
		case took < atLeast:
			return fmt.Sprintf("All books are counted. Your program sent %d requests in %s, with %s between "+
				"the end of one and the next.", len(requests), judge.Round(took), judge.Round(wait)), nil
		}
		t.Kill()
	}
	return "", fmt.Errorf("the cluster takes %s for one answer: too slow to see whether client-go holds "+
		"requests back. Judge again when the machine is less busy", judge.Round(each))
}

// countBooks puts some books on a shelf, runs the program once and looks whether it counts right.
func countBooks(ctx context.Context, t *judge.Trial) error {
	some := strconv.Itoa(100 + int(time.Now().UnixNano()%900)) // nobody can know them
	if _, err := t.Set(ctx, "shelf-07", "books", some); err != nil {
		return err
	}
	list, err := t.List(ctx)
	if err != nil {
		return err
	}
	books := 0
	for _, shelf := range list.Items {
		n, err := strconv.Atoi(shelf.Data["books"])
		if err != nil {
			return judge.JudgesOwn(err)
		}
		books += n
	}
	if err := t.Start(); err != nil {
		return err
	}
	if err := t.Must(ctx, `print "books:"`, func() bool { return len(t.Lines("books:")) > 0 }); err != nil {
		return err
	}
	if got := t.Lines("books:")[0]; got != strconv.Itoa(books) {
		return judge.NotYet("Your program counted %s books. On the %d shelves there are %d.",
			got, len(list.Items), books)
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
