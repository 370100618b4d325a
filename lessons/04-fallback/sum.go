package main

import (
	"client-go-lessons/internal/lesson"
)

// sum answers questions with what this run has measured.
func (d *fallback) sum(run *lesson.Run) {
	if len(d.costs) != len(d.remedies()) {
		return
	}
	if len(d.natural) > 0 {
		run.Say("A cache can be behind your own write: here %d times, for %s at most.",
			len(d.natural), lesson.Duration(d.natural.p(100)))
	}
	row := func(question, take, id string) []any {
		c := d.costs[id]
		return []any{question, take, c.own, c.others, perRead(c.requests), c.p(50)}
	}
	run.Say("Take the first line that says what you need (stale reads, cost, time):")
	run.Table(
		[]any{"you need", "take", "own", "others'", "requests", "50 %"},
		row("what others wrote, too", "always live", "live"),
		row("to be right in the end", "the cache", "cache"),
		row("your write, by its name", "MutationCache", "keep"),
		row("your write in any read", "fresh.Waiter", "wait"),
		row("your write, at once", "live if behind", "behind"),
	)
	run.Say("Looking again (%s) is for when you know no version to wait for.",
		d.costs["retry"].p(50))
	run.Say("Write so that a stale read does no harm: keep the version in an update, and")
	run.Say("give what you create a name that you can foresee.")
}
