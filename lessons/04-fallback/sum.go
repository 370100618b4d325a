package main

import (
	"client-go-lessons/internal/lesson"
)

// sum draws the conclusion, from what this run has measured.
func (d *fallback) sum(run *lesson.Run) {
	if len(d.costs) != len(d.remedies()) {
		return
	}
	hope, retried, waited := d.costs[0], d.costs[1], d.costs[2]
	behind, live := d.costs[3], d.costs[4]
	if len(d.natural) > 0 {
		run.Say("A cache can be behind your own write: here %d times, for %s at most.",
			len(d.natural), lesson.Duration(d.natural.p(100)))
	}
	row := func(need, take string, c cost) []any {
		return []any{need, take, c.stale, perRead(c.requests), c.p(99)}
	}
	run.Table(
		[]any{"you need", "take", "stale", "requests", "p99"},
		row("the right state in the end", "the cache", hope),
		row("your own write, and can wait", "fresh.Waiter", waited),
		row("your own write, at once", "live if behind", behind),
		row("what others wrote as well", "always live", live),
	)
	if waited.fresh.p(99) < retried.fresh.p(99) {
		run.Say("Retrying (%s at p99) is for when you know no version to wait for.",
			retried.p(99))
	}
	run.Say("And write so that a stale read does no harm: leave in an update the version")
	run.Say("it is based on, and give what you create a name that you can foresee.")
}
