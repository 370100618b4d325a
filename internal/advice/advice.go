// Package advice reads what an observer saw of a program that uses Kubernetes, and says what in it
// costs more than it needs to, or is about to go wrong. Each rule is one function over the record.
// A rule speaks only of what it saw, with its numbers.
package advice

import (
	"cmp"
	"slices"
	"time"

	"client-go-lessons/internal/observer"
)

// Seen is what an observer saw of a program, from its start or from some later moment on. The
// observer must have been started WithDetails.
type Seen struct {
	Requests []observer.Request // in the order in which they began
	Events   []observer.Change  // of watches, in order; what else there is among them is passed over
	// End is when the program ended, or when the last of the above was seen.
	End time.Time
	// Ended says that the program has ended.
	Ended bool
}

// Advice is what one rule has to say.
type Advice struct {
	Rule string // the rule's name, such as "polled-list"
	// Evidence is what was seen, a sentence each, the heaviest first.
	Evidence []string
	// More is the number of findings beyond those.
	More int
	Do   string // what to do about it
	Page string // the page that explains it, such as "docs/02-watch.md"
	// Injected says that an injected fault had a part in all that was found.
	Injected bool
}

// finding is one thing that a rule has found.
type finding struct {
	weight   int // the heavier ones are shown first
	text     string
	injected bool
}

// rule is one kind of mistake, and the function that finds it.
type rule struct {
	find           func(Seen) []finding
	name, page, do string
}

const (
	directPage   = "docs/01-direct.md"
	watchPage    = "docs/02-watch.md"
	informerPage = "docs/03-informer.md"
	fallbackPage = "docs/04-fallback.md"
)

var rules = []rule{
	{nothingRead, "nothing-read", informerPage,
		"If it reads from an informer's copy: ask for the informer, start the factory, wait for the sync, and only then read."},
	{rereadObject, "reread-object", informerPage,
		"Keep a copy: an informer asks once, and is told of each change."},
	{polledList, "polled-list", watchPage,
		"List once, then watch from the list's version: the server tells you of each change."},
	{bigList, "big-list", directPage,
		"Ask for it in pages: Limit and Continue of ListOptions, or client-go's tools/pager."},
	{jsonTraffic, "json", directPage,
		"Typed clients speak protobuf by default. Where ContentType is set to JSON, leave it out."},
	{heldBack, "held-back", directPage,
		"That looks like a limit in the client (client-go: QPS 5, Burst 10). Set rest.Config.QPS, or ask for less."},
	{connectionEach, "connection-each", directPage,
		"Make one client and share it. Read each answer to its end and close it, or its connection cannot be used again."},
	{refused, "refused", informerPage,
		"Trying again does not help. Grant the right, or mend the request, or stop asking."},
	{tooMany, "too-many", directPage,
		"The server asks you to slow down: send fewer requests, and wait as long as Retry-After says."},
	{sameWatch, "same-watch", informerPage,
		"One watch is enough for a program: pass one informer factory around."},
	{watchFromNowhere, "watch-from-nowhere", watchPage,
		"Begin the watch at the version of the list, or of the last event: what happened in between is missed otherwise."},
	{restlessWatch, "restless-watch", watchPage,
		"Wait between two watches, longer each time. Then find out who ends them."},
	{goneAgain, "gone-again", watchPage,
		"The server has forgotten that version. List again, and watch from that list."},
	{watchEnded, "watch-ended", watchPage,
		"A watch always ends some day. When its channel closes, stop reading it, and begin another from the last version."},
	{watchKept, "watch-kept", watchPage,
		"Call Stop on a watch that you do not read any more, and end the context of an informer."},
	{unsynced, "unsynced", informerPage,
		"Wait for the sync before you read from the copy: WaitForCacheSync."},
	{stuckSync, "stuck-sync", informerPage,
		"Something on the way drops the bookmark that ends the first state. KUBE_FEATURE_WatchListClient=false avoids it."},
	{conflictAgain, "conflict-again", fallbackPage,
		"Read the object from the server before you try again; your copy is behind."},
	{writeLeft, "write-left", fallbackPage,
		"Try again from a fresh read. If your cache says that all is well, you changed the object in it: DeepCopy first."},
	{blindUpdate, "blind-update", fallbackPage,
		"Leave the resourceVersion in: without it, what others have written since you read is lost."},
	{emptyWrite, "empty-write", informerPage,
		"Compare before you write. Where each event causes a write, a workqueue makes one of many."},
	{createdTwice, "created-twice", fallbackPage,
		"If one was meant: give it a fixed name, and the server refuses the second."},
}

// Of returns the advice of each rule that found something, in the order of the rules: reads first,
// then watches, then writes.
func Of(seen Seen) []Advice {
	const shown = 3
	var all []Advice
	for _, r := range rules {
		found := r.find(seen)
		if len(found) == 0 {
			continue
		}
		slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(b.weight, a.weight) })
		a := Advice{Rule: r.name, Do: r.do, Page: r.page, Injected: true}
		for i, f := range found {
			a.Injected = a.Injected && f.injected
			if i < shown {
				a.Evidence = append(a.Evidence, f.text)
			} else {
				a.More++
			}
		}
		all = append(all, a)
	}
	return all
}
