package e2e

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"

	"client-go-lessons/internal/observer"
)

// What TestWatch looks up in the observer's record, and what it does with a client of its own.

// reads keeps what the lesson counts: the requests for ConfigMaps that change nothing.
func reads(r observer.Record) observer.Record {
	return configMaps(r).Where(func(q observer.Request) bool {
		return slices.Contains([]string{"get", "list", "watch"}, q.Verb)
	})
}

// watchBeside opens a watch of the test's own, past the observer.
func watchBeside(t *testing.T, namespace string) watch.Interface {
	t.Helper()
	list, err := lab.client.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := lab.client.CoreV1().ConfigMaps(namespace).Watch(t.Context(),
		metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

// take returns the next n events in the words of printedEvents.
func take(t *testing.T, w watch.Interface, n int) (events []string) {
	t.Helper()
	for range n {
		select {
		case e, ok := <-w.ResultChan():
			cm, isConfigMap := e.Object.(*corev1.ConfigMap)
			if !ok || !isConfigMap {
				t.Fatalf("after %v: %v, open: %t", events, e, ok)
			}
			events = append(events, fmt.Sprintf("%s %s %s", e.Type, cm.Name, cm.ResourceVersion))
		case <-time.After(10 * time.Second):
			t.Fatalf("after %v came nothing", events)
		}
	}
	return events
}

var eventLine = regexp.MustCompile(`^([A-Z]+) +(\S+) .* resourceVersion (\d+)$`)

// printedEvents are the events that a step printed, as "TYPE name resourceVersion".
func printedEvents(s step) (events []string) {
	for _, line := range s.Lines {
		if m := eventLine.FindStringSubmatch(line); m != nil {
			events = append(events, strings.Join(m[1:], " "))
		}
	}
	return events
}

// applied is what is there after these events.
func applied(names, events []string) []string {
	names = slices.Clone(names)
	for _, e := range events {
		f := strings.Fields(e)
		names = slices.DeleteFunc(names, func(name string) bool { return name == f[1] })
		if f[0] != string(watch.Deleted) {
			names = append(names, f[1])
		}
	}
	slices.Sort(names)
	return names
}

// initialEvents are the options of a watch that begins with what is there.
func initialEvents(rv string) metav1.ListOptions {
	return metav1.ListOptions{ResourceVersion: rv, SendInitialEvents: new(true), AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
}

// query reads the options of the first request.
func query(requests []observer.Request) (o metav1.ListOptions) {
	if len(requests) == 0 {
		return o
	}
	q := requests[0].Query
	o.ResourceVersion = q.Get("resourceVersion")
	o.ResourceVersionMatch = metav1.ResourceVersionMatch(q.Get("resourceVersionMatch"))
	o.AllowWatchBookmarks = q.Get("allowWatchBookmarks") == "true"
	if q.Has("sendInitialEvents") {
		o.SendInitialEvents = new(q.Get("sendInitialEvents") == "true")
	}
	return o
}

func firstEvent(t *testing.T, namespace string, o metav1.ListOptions) watch.Event {
	t.Helper()
	w, err := lab.client.CoreV1().ConfigMaps(namespace).Watch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	select {
	case e := <-w.ResultChan():
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event came")
		return watch.Event{}
	}
}

// untilBookmark says what the server sends up to the bookmark, of the lesson's own ConfigMaps.
func untilBookmark(t *testing.T, namespace string) string {
	t.Helper()
	w, err := lab.client.CoreV1().ConfigMaps(namespace).Watch(t.Context(), initialEvents(""))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	deadline := time.After(10 * time.Second)
	var names []string
	for {
		select {
		case e, ok := <-w.ResultChan():
			cm, isConfigMap := e.Object.(*corev1.ConfigMap)
			if !ok || !isConfigMap {
				t.Fatalf("after %v: %v, open: %t", names, e, ok)
			}
			names = append(names, cm.Name)
			if e.Type != watch.Added {
				return fmt.Sprintf("%d ADDED %s %s: %s", len(lessonsOwn(names)), e.Type, metav1.InitialEventsAnnotationKey,
					cm.Annotations[metav1.InitialEventsAnnotationKey])
			}
		case <-deadline:
			t.Fatal("no bookmark came")
		}
	}
}

// allWatchesEnd waits for the end of the watches since the mark. Under -pause the lesson waits, too.
func allWatchesEnd(t *testing.T, mark observer.Mark) error {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := lab.observer.Wait(ctx, mark, func(r observer.Record) bool {
		return r.Verb("watch", "").Open().Count() == 0
	})
	return err
}

// connections are the numbers of those that carried the requests for ConfigMaps.
func connections(r observer.Record) map[int]bool {
	conns := map[int]bool{}
	for _, q := range configMaps(r).Requests {
		conns[q.Conn] = true
	}
	return conns
}

// newConnections counts, for the first LIST, 3 WATCH and LIST over this protocol, the connections
// that none of the requests before had used.
func newConnections(t *testing.T, r observer.Record, proto string, known map[int]bool) (phases [3]int) {
	t.Helper()
	known = maps.Clone(known)
	requests := reads(r).Where(func(q observer.Request) bool { return q.Proto == proto }).Requests
	for i, verb := range []string{"list", "watch", "watch", "watch", "list"} {
		if i >= len(requests) || requests[i].Verb != verb {
			t.Fatalf("over %s, want LIST, 3 WATCH, LIST:\n%s", proto, r)
		}
		if !known[requests[i].Conn] {
			known[requests[i].Conn] = true
			phases[(i+2)/3]++
		}
	}
	return phases
}

// resumed returns the two watches of a step whose last change fell between them, which the second
// was told of and the first was not.
func resumed(t *testing.T, s step, color string) (first, second observer.Request) {
	t.Helper()
	watches := reads(s.Record).Verb("watch", "").Requests
	updates := s.Record.Verb("update", "configmaps").Requests
	if len(watches) != 2 || len(updates) != 2 {
		t.Fatalf("want 2 watches and 2 updates:\n%s", s.Record)
	}
	first, second = watches[0], watches[1]
	if !updates[1].Start.After(first.Start) || !second.Start.After(updates[1].Start) {
		t.Errorf("the second update did not fall between the watches:\n%s", s.Record)
	}
	for i, w := range watches { // had the first still been open, it would have been told of both
		if w.Events[watch.Modified] != 1 || w.Status != 200 {
			t.Errorf("watch %d: want 200 and one MODIFIED:\n%s", i+1, s.Record)
		}
	}
	if a, b := first.Query.Get("resourceVersion"), second.Query.Get("resourceVersion"); a == b {
		t.Errorf("the second watch began at resourceVersion %s, where the first one had", a)
	}
	s.Find(t, `MODIFIED +door +`+color+`\n`)
	return first, second
}

// stopThroughTheObserver repeats what the lesson says of Stop.
func stopThroughTheObserver(t *testing.T) {
	client := throughObserver(t).CoreV1().ConfigMaps("default")
	mark := lab.observer.Mark()
	w, err := client.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if open := lab.observer.Since(mark).Verb("watch", "").Open().Count(); open != 1 {
		t.Errorf("%d open watches before Stop, want 1", open)
	}
	w.Stop()
	if err := allWatchesEnd(t, mark); err != nil {
		t.Error(err)
	}
	deadline := time.After(10 * time.Second)
	for ok := true; ok; {
		select {
		case _, ok = <-w.ResultChan():
		case <-deadline:
			t.Fatal("the channel is not closed after Stop")
		}
	}
	if e, ok := <-w.ResultChan(); ok || e.Type != "" || e.Object != nil {
		t.Errorf("a receive after the end gives %v, %t", e, ok)
	}
	if _, err := client.List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if r := lab.observer.Since(mark); r.Connections() != 1 || r.Opened != 1 {
		t.Errorf("want one connection for both:\n%s", r)
	}
}

// endWithTheContext ends a watch by its context alone.
func endWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	mark := lab.observer.Mark()
	w, err := throughObserver(t).CoreV1().ConfigMaps("default").Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	cancel()
	deadline := time.After(10 * time.Second)
	for ok := true; ok; {
		select {
		case _, ok = <-w.ResultChan():
		case <-deadline:
			t.Fatal("the channel is not closed after the end of the context")
		}
	}
	if err := allWatchesEnd(t, mark); err != nil {
		t.Error(err)
	}
}

// retryThroughTheObserver gives a RetryWatcher watches that end at once, and then a 410.
func retryThroughTheObserver(t *testing.T) {
	client := throughObserver(t).CoreV1().ConfigMaps("default")
	list, err := client.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ours := observer.Match{Verb: "watch", Resource: "configmaps", Namespace: "default", To: 2}
	defer lab.observer.Inject(ours, observer.EndAfterEvents(0))()
	ours.From, ours.To = 3, 3
	defer lab.observer.Inject(ours, observer.ExpireAfterEvents(0))()

	mark := lab.observer.Mark()
	w, err := toolswatch.NewRetryWatcherWithContext(t.Context(), list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: client.Watch,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	select {
	case e := <-w.ResultChan():
		if e.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(e.Object)) {
			t.Errorf("got %v, want 410 Expired", e)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the 410 was not passed on")
	}
	select {
	case <-w.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("a RetryWatcher goes on after a 410")
	}
	watches := lab.observer.Since(mark).Verb("watch", "configmaps").Requests
	if len(watches) != 3 {
		t.Fatalf("%d watches, want 2 that end at once and 1 that expires", len(watches))
	}
	for i, w := range watches[1:] {
		if gap := w.Start.Sub(watches[i].Start); gap < 900*time.Millisecond {
			t.Errorf("watch %d began %s after the one before", i+2, gap)
		}
	}
}

// lessonsOwn keeps the names that lesson 02 itself gives.
func lessonsOwn(names []string) (own []string) {
	for _, name := range names {
		if slices.Contains([]string{"door", "fence", "gate", "wall"}, name) {
			own = append(own, name)
		}
	}
	return own
}

// timeoutEndsAWatch: the timeout of a rest.Config is for whole requests, and a watch is one.
func timeoutEndsAWatch(t *testing.T) {
	config := rest.CopyConfig(lab.config)
	config.Timeout = time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	w, err := client.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for range w.ResultChan() { // until it ends
	}
	if took := time.Since(start); took < 900*time.Millisecond || t.Context().Err() != nil {
		t.Errorf("the watch ended after %s, the timeout is 1 s", took)
	}
}

// techniqueAgrees compares what the technique's wire line says with what the observer saw.
func techniqueAgrees(t *testing.T, run lessonRun, requests map[string]int) {
	t.Helper()
	_, rest, _ := strings.Cut(run.Output, "The technique in one piece")
	part, _, _ := strings.Cut(rest, "\n\n")
	s := step{Name: "technique"}
	for line := range strings.Lines(part) {
		s.Lines = append(s.Lines, strings.TrimSpace(line))
	}
	want := onWire(reads(run.Setup))
	// The lesson prepares its namespace before, on a connection of its own: it waits for the cluster's
	// own ConfigMap with GETs.
	printed := s.Wires(t)
	if len(printed) != 1 || printed[0].Connections != 1 {
		t.Fatalf("printed %v, want one line and one connection:\n%s", printed, run.Output)
	}
	for verb, n := range requests {
		seen := want.Requests[verb]
		if verb == "get" {
			seen = reads(run.Setup).Where(func(r observer.Request) bool {
				return r.Verb == "get" && r.Name != "kube-root-ca.crt"
			}).Count()
		}
		if printed[0].Requests[verb] != n || seen != n {
			t.Errorf("%s: printed %d, observed %d, want %d\n%s", verb, printed[0].Requests[verb], seen, n, run.Setup)
		}
	}
}

// TestWatchIgnoresStrangers: a cluster may put ConfigMaps of its own into a namespace at any moment,
// as service meshes do. Lesson 02 tells the same story, whatever else changes there.
func TestWatchIgnoresStrangers(t *testing.T) {
	noteFailure(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var others sync.WaitGroup
	ns, written := "", 0
	run := runLesson(t, "02-watch", runOptions{
		namespace: &ns,
		entering: func(step string) {
			if step != "list" {
				return
			}
			mesh := lab.client.CoreV1().ConfigMaps(ns)
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "mesh-ca"}, Data: map[string]string{}}
			if _, err := mesh.Create(ctx, cm, metav1.CreateOptions{}); err != nil {
				t.Error(err)
			}
			others.Go(func() {
				for range time.Tick(20 * time.Millisecond) {
					cm.Data["n"] = fmt.Sprint(written)
					if _, err := mesh.Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
						return // the namespace is gone
					}
					written++
				}
			})
		},
	})
	stop()
	others.Wait()
	if written < 100 {
		t.Fatalf("only %d changes by others: that proves nothing", written)
	}
	// A watch that was open before brings their events as well.
	checkTranscript(t, run, append(watchMasks, mask{regexp.MustCompile(` \+ \S+ \S+ events`), ""})...)
}
