package judge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/exercise"
	"client-go-lessons/internal/observer"
)

// slow is how long the judge lets a sync take in exercise 05.
const slow = time.Second

// tooEarly holds the answer back that fills the cache.
func tooEarly(ctx context.Context, t *trial) (string, error) {
	gate := observer.NewGate()
	t.inject(observer.Match{Verb: "watch"}, observer.HoldAnswer(gate))
	t.inject(observer.Match{Verb: "list"}, observer.HoldAnswer(gate))
	if err := t.start(); err != nil {
		return "", err
	}
	printed := func() bool { return len(t.program.lines("color:")) > 0 }
	if err := t.must(ctx, "fill its cache, by a watch", func() bool {
		return t.count("watch")+t.count("list") > 0 || printed()
	}); err != nil {
		return "", err
	}
	early := t.within(ctx, slow, printed)
	gate.Open()
	if err := t.must(ctx, `print "color:"`, printed); err != nil {
		return "", err
	}
	want, err := t.get(ctx, "settings", "color")
	if err != nil {
		return "", err
	}
	got := t.program.lines("color:")[0]
	switch {
	case got != want && early:
		return "", notYet("Your program printed %q. On the server it is %s. The server took %s to answer the informer (injected), "+
			"and your program read before the answer was there: an empty cache says NotFound for everything.", "color: "+got, want, round(slow))
	case got != want:
		return "", notYet("Your program printed %q. On the server it is %s.", "color: "+got, want)
	case t.count("get") > 0:
		return "", notYet("The color is right, but your program asked the server for it: %s. Read it from the cache, by the lister.", t.sent())
	}
	return fmt.Sprintf("color: %s. The server took %s to answer (injected), and your program waited for it.", got, round(slow)), nil
}

// factoryPerRequest counts what twelve answers from the cache cost.
func factoryPerRequest(ctx context.Context, t *trial) (string, error) {
	if err := t.start(); err != nil {
		return "", err
	}
	prices := func() (n int) {
		for _, fruit := range exercise.Fruits {
			n += min(1, len(t.program.lines(fruit+" costs")))
		}
		return n
	}
	n := len(exercise.Fruits)
	if err := t.must(ctx, fmt.Sprintf("print %d prices", n), func() bool { return prices() == n }); err != nil {
		return "", err
	}
	for _, cm := range exercise.Stage("06-factory-per-request") {
		if got := t.program.lines(cm.Name + " costs")[0]; got != cm.Data["price"] {
			return "", notYet("Your program says that %s costs %s. On the server it costs %s.", cm.Name, got, cm.Data["price"])
		}
	}
	watches, lists, gets := t.count("watch"), t.count("list"), t.count("get")
	switch {
	case watches > 1:
		return "", notYet("Your program opened %d watches for %d requests. 1 is enough. %d of them are still open, and each keeps "+
			"its own copy of all ConfigMaps up to date.", watches, n, t.requests().Verb("watch", "").Open().Count())
	case watches == 0:
		return "", notYet("All prices are right, but your program sent %s and opened no watch. Read from the cache of an informer.", t.sent())
	case gets > 0 || lists > 1:
		return "", notYet("All prices are right, but your program sent %s. What is in the cache costs no request.", t.sent())
	}
	return fmt.Sprintf("%d requests answered, %s.", n, t.sent()), nil
}

// neverStarted compares what is listed from the cache with what there is.
func neverStarted(ctx context.Context, t *trial) (string, error) {
	list, err := t.cms.List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", judges(err)
	}
	var want []string
	for _, cm := range list.Items {
		want = append(want, cm.Name)
	}
	if err := t.start(); err != nil {
		return "", err
	}
	printed := func() []string { return slices.Sorted(slices.Values(t.program.lines("name:"))) }
	ok, err := t.until(ctx, fmt.Sprintf("print %d names", len(want)), func() bool { return len(printed()) >= len(want) })
	if err != nil {
		return "", err
	}
	if !ok {
		if how, bad := t.program.end(); bad || t.program.cmd.ProcessState.ExitCode() != 0 || t.program.total() == 0 {
			return "", notYet("The judge waited for your program to print %d names, but %s.", len(want), how)
		}
	}
	slices.Sort(want)
	switch got := printed(); {
	case slices.Equal(got, want) && t.count("watch") == 0:
		return "", notYet("All names are right, but your program sent %s and opened no watch. Read them by the lister.", t.sent())
	case slices.Equal(got, want):
		return fmt.Sprintf("%d ConfigMaps, %s.", len(got), t.sent()), nil
	case len(got) == 0 && t.requests().Count() == 0:
		return "", notYet("There are %d ConfigMaps. Your program printed 0, and sent no request at all: when it called Start "+
			"there was no informer to start, and so none to wait for, or it did not wait.", len(want))
	default:
		return "", notYet("There are %d ConfigMaps: %s. Your program printed %d (%s), and sent %s. Had the cache synced when it listed?",
			len(want), strings.Join(want, ", "), len(got), strings.Join(got, ", "), t.sent())
	}
}

// synced tells whether the program's informer has all there was.
func (t *trial) synced() bool {
	return t.watching(1)() && (t.count("list") > 0 || t.requests().Events()[watch.Bookmark] > 0)
}

// tombstone deletes a ConfigMap while no watch is open, and lets the server forget that it did.
func tombstone(ctx context.Context, t *trial) (string, error) {
	end, gate := make(chan struct{}), observer.NewGate()
	t.inject(observer.Match{Verb: "watch", To: 1}, endWhen(end))
	if err := t.start(); err != nil {
		return "", err
	}
	if err := t.must(ctx, "be told of the gate", func() bool {
		return t.synced() && slices.Contains(t.program.lines("added:"), "gate")
	}); err != nil {
		return "", err
	}
	var forgotten horizon
	before := t.count("watch") + t.count("list")
	t.inject(observer.Match{Verb: "watch", Func: forgotten.includes}, observer.ExpireAfterEvents(0))
	t.inject(observer.Match{Verb: "watch", To: 1}, observer.HoldRequest(gate))
	close(end)
	if err := t.must(ctx, "watch again after its watch had ended (injected)", func() bool {
		return t.count("watch")+t.count("list") > before
	}); err != nil {
		return "", err
	}
	if err := t.deleteGate(ctx); err != nil {
		return "", err
	}
	list, err := t.cms.List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", judges(err)
	}
	forgotten.set(list.ResourceVersion)
	gate.Open()
	if err := t.create(ctx, "last"); err != nil {
		return "", err
	}
	told := func(name string) bool { // with or without its namespace
		return slices.ContainsFunc(t.program.lines("deleted:"), func(s string) bool { return s == name || s == t.ns+"/"+name })
	}
	// A relist tells of what is there before it tells of what is gone.
	ok, err := t.until(ctx, "hear of what happened while no watch was open", func() bool {
		return told("gate") || slices.Contains(t.program.lines("added:"), "after")
	}, t.afterwards(ctx, "last", "after"))
	if err != nil {
		return "", err
	}
	const scene = "The gate was deleted while no watch was open, and the server had forgotten that when the next one began (injected)."
	if told("gate") {
		return "deleted: gate. Your program was told, though nobody had seen the deletion.", nil
	}
	if ok {
		return "", notYet("%s Your handler was told that the gate is gone, by a tombstone. Your program never printed it: "+
			"it prints only deletions that come as a ConfigMap.", scene)
	}
	how, panicked := t.program.end()
	if panicked && strings.Contains(how, "DeletedFinalStateUnknown") {
		return "", notYet("%s Your handler was told by a tombstone, which is no ConfigMap, and %s.", scene, how)
	}
	return "", notYet("%s Then %s.", scene, how)
}

// afterwards returns a step for until: once the program has printed that name was added, the judge
// adds another ConfigMap. What the program was told before that one, it has handled.
func (t *trial) afterwards(ctx context.Context, name, next string) func() error {
	made := false
	return func() error {
		if made || !slices.Contains(t.program.lines("added:"), name) {
			return nil
		}
		made = true
		return t.create(ctx, next)
	}
}

// sharedObject refuses the first write.
func sharedObject(ctx context.Context, t *trial) (string, error) {
	t.inject(observer.Match{Func: writes, To: 1}, observer.ServerError())
	if err := t.start("KUBE_CACHE_MUTATION_DETECTOR=true"); err != nil {
		return "", err
	}
	const fault = "Your program changed an object that belongs to the cache"
	detected := func() (string, bool) {
		how, panicked := t.program.end()
		return how, panicked && strings.Contains(how, "modified")
	}
	ok, err := t.until(ctx, "say that the door is red", func() bool { return len(t.program.lines("the door is red")) > 0 })
	if err != nil {
		return "", err
	}
	if !ok {
		how, found := detected()
		if found {
			return "", notYet("%s: client-go's mutation detector, which the judge turns on, found it.", fault)
		}
		return "", notYet("The judge waited for your program to say that the door is red, but %s.", how)
	}
	color, err := t.get(ctx, "door", "color")
	if err != nil {
		return "", err
	}
	sent := t.requests().Where(writes).Count()
	if color != "red" {
		return "", notYet("Your program says that the door is red. On the server it is %s. The server refused the first write "+
			"(injected), and there was no second: your program sent %d. %s, and the next look into the cache found the door red.", color, sent, fault)
	}
	// The detector looks once a second.
	if t.within(ctx, 3*time.Second, t.program.ended) {
		if _, found := detected(); found {
			return "", notYet("The door is red. But %s%s: client-go's mutation detector, which the judge turns on, found it.",
				strings.ToLower(fault[:1]), fault[1:])
		}
	}
	return fmt.Sprintf("The door is red, after %d writes, the first of them refused (injected). The cache was left alone.", sent), nil
}

// writes tells whether a request changes something.
func writes(r observer.Request) bool {
	return slices.Contains([]string{"create", "update", "patch"}, r.Verb)
}

// slowHandler holds the first report back, and paints the door meanwhile.
func slowHandler(ctx context.Context, t *trial) (string, error) {
	gate := observer.NewGate()
	t.inject(observer.Match{Func: writes}, observer.HoldRequest(gate))
	if err := t.start(); err != nil {
		return "", err
	}
	if err := t.must(ctx, "fill its cache", t.synced); err != nil {
		return "", err
	}
	if _, err := t.set(ctx, "door", "color", "color 0"); err != nil {
		return "", err
	}
	if err := t.must(ctx, "report the first color", func() bool { return t.requests().Where(writes).Count() > 0 }); err != nil {
		return "", err
	}
	const paints = 12
	last := ""
	for n := 1; n <= paints; n++ {
		last = fmt.Sprintf("color %d", n)
		if _, err := t.set(ctx, "door", "color", last); err != nil {
			return "", err
		}
	}
	if err := t.must(ctx, "receive the changes", func() bool {
		return t.requests().Events()[watch.Modified] > paints
	}); err != nil {
		return "", err
	}
	const moment = 3 * time.Second
	told := func() int { return len(t.program.lines("told: the door is")) - 1 }
	t.within(ctx, moment, func() bool { return told() >= paints })
	if n := told(); n < paints {
		return "", notYet("While the first report waited for the server (injected), the door was painted %d times, and all %d events "+
			"came over the wire. Within %s, your handler was told of %d of them: it was still busy with the first.", paints, paints, round(moment), n)
	}
	gate.Open()
	if !t.within(ctx, patience/2, func() bool { now, err := t.get(ctx, "report", "door"); return err == nil && now == last }) {
		now, err := t.get(ctx, "report", "door")
		if err != nil {
			return "", err
		}
		return "", notYet("Your handler was told of all %d changes while the first report was held back (injected). But in the end the "+
			"report says %q, and the door is %q. Do reports overtake each other?", paints, now, last)
	}
	return fmt.Sprintf("Your handler was told of all %d changes while the first report was held back (injected). For all of them "+
		"together, your program sent %d reports.", paints, t.requests().Where(writes).Count()), nil
}
