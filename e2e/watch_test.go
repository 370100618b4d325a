package e2e

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/e2e/observer"
)

// The titles of lesson 02's steps.
const (
	stepVersion     = "List: the resourceVersion to start from"
	stepWatch       = "Watch from there: three changes, three events"
	stepConnections = "Does each watch make a connection?"
	stepStop        = "Stop"
	stepStart       = "Watch from nowhere, or from a List"
	stepTimeout     = "The server ends the watch: go on from the last event"
	stepRetry       = "RetryWatcher goes on by itself"
	stepBookmark    = "Bookmarks: how far you have come"
	stepError       = "An Error event: read it, do not assert it"
	stepTooOld      = "Too old: 410, so List again"
)

// What N9's wording leaves out: Watch takes a context and options, and returns an error.
var _ func(typedcorev1.ConfigMapInterface, context.Context, metav1.ListOptions) (watch.Interface, error) = typedcorev1.ConfigMapInterface.Watch

func TestWatch(t *testing.T) {
	var own watch.Interface // the test's, beside the lesson's in step 2
	var told []string       // what it was told
	var before, after []string
	ended := map[int]error{} // by step: that it left no watch open
	mark := lab.observer.Mark()
	run := runLesson(t, "02-watch", runOptions{
		before: func(n int) {
			if n == 2 {
				ns := newestNamespace(t, "02-watch")
				before = namesIn(t, ns)
				own = watchBeside(t, ns)
			}
		},
		after: func(n int) {
			ended[n] = allWatchesEnd(t, mark)
			if n == 2 {
				after = namesIn(t, newestNamespace(t, "02-watch"))
				told = take(t, own, 3)
			}
		},
	})
	all := lab.observer.Since(mark)
	assess := func(f func(t *testing.T)) features.Func {
		return func(ctx context.Context, t *testing.T, _ *envconf.Config) context.Context {
			noteFailure(t)
			f(t)
			return ctx
		}
	}
	// The lesson's second client, which changes things, is not counted by the lesson.
	wireAgrees := func(title string) features.Func {
		return assess(func(t *testing.T) {
			s := run.Step(t, title)
			want, got := onWire(reads(s.Record)), printedWire{Requests: map[string]int{}}
			wires := s.Wires(t)
			for _, w := range wires {
				for verb, n := range w.Requests {
					got.Requests[verb] += n
				}
				got.Connections += w.Connections
				got.Bytes = w.Bytes
			}
			if len(wires) != 1 { // sizes that were rounded cannot be added up
				want.Bytes, got.Bytes = "", ""
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-observed +printed)\n%s\n%s", diff, s.Record)
			}
		})
	}

	testenv.Test(t,
		features.New("a Watch from a List's resourceVersion tells each change once").WithLabel("claim", "N9").
			Assess("three changes as the same three events that the test is told", assess(func(t *testing.T) {
				printed := printedEvents(run.Step(t, stepWatch))
				if diff := cmp.Diff(told, printed); diff != "" || len(printed) != 3 {
					t.Errorf("(-told to the test +printed)\n%s", diff)
				}
			})).
			Assess("which went by on the lesson's own watch, no more and no fewer", assess(func(t *testing.T) {
				s := run.Step(t, stepWatch)
				watches := reads(s.Record).Verb("watch", "").Requests
				if len(watches) != 1 {
					t.Fatalf("%d watches, want 1\n%s", len(watches), s.Record)
				}
				want := map[watch.EventType]int{watch.Added: 1, watch.Modified: 1, watch.Deleted: 1}
				if diff := cmp.Diff(want, watches[0].Events); diff != "" {
					t.Errorf("(-want +observed)\n%s", diff)
				}
				from := run.Step(t, stepVersion).Find(t, `resourceVersion (\d+)`)[0]
				if got := watches[0].Query.Get("resourceVersion"); got != from {
					t.Errorf("it began at resourceVersion %s, the List was of %s", got, from)
				}
			})).
			Assess("so that the List and the events make the new List", assess(func(t *testing.T) {
				s := run.Step(t, stepWatch)
				if got := applied(before, printedEvents(s)); !slices.Equal(got, after) || slices.Equal(before, after) {
					t.Errorf("%v and the printed events make %v, the server has %v", before, got, after)
				}
				s.Find(t, `a new List: nothing was missed, nothing came twice`)
			})).
			Assess("in the requests that are printed", wireAgrees(stepWatch)).
			Assess("and all five types of event were really sent, the 410 apart", assess(func(t *testing.T) {
				want := []watch.EventType{watch.Added, watch.Bookmark, watch.Deleted, watch.Error, watch.Modified}
				if got := slices.Sorted(maps.Keys(all.Events())); !slices.Equal(got, want) {
					t.Errorf("observed %v, want %v", got, want)
				}
			})).Feature(),

		features.New("a Watch from nowhere begins with what is there").WithLabel("claim", "N9").
			Assess("as Added, and never says what is gone", assess(func(t *testing.T) {
				s := run.Step(t, stepStart)
				watches := reads(s.Record).Verb("watch", "").Requests
				if len(watches) != 2 {
					t.Fatalf("%d watches, want 2\n%s", len(watches), s.Record)
				}
				for i, c := range []struct {
					row  string
					want map[watch.EventType]int
				}{
					{`""`, map[watch.EventType]int{watch.Added: len(after), watch.Modified: 1}},
					{`of the List`, map[watch.EventType]int{watch.Modified: 2, watch.Deleted: 1}},
				} {
					if diff := cmp.Diff(c.want, watches[i].Events); diff != "" {
						t.Errorf("%s (-want +observed)\n%s", c.row, diff)
					}
					printed := s.Find(t, c.row+` +(\d+) +(\d+) +(\d+)`)
					e := watches[i].Events
					observed := fmt.Sprint(e[watch.Added], e[watch.Modified], e[watch.Deleted])
					if strings.Join(printed, " ") != observed {
						t.Errorf("%s: printed %v, observed %s", c.row, printed, observed)
					}
					if from := watches[i].Query.Get("resourceVersion"); (from == "") != (i == 0) {
						t.Errorf("%s: the watch began at resourceVersion %q", c.row, from)
					}
				}
			})).
			Assess("in the requests that are printed", wireAgrees(stepStart)).Feature(),

		features.New("Stop ends the watch, and only the watch").WithLabel("claim", "N10").
			Assess("the request ends, the connection stays for the next one", assess(func(t *testing.T) {
				s := run.Step(t, stepStop)
				r := reads(s.Record).Requests
				if len(r) != 2 || r[0].Verb != "watch" || r[1].Verb != "get" {
					t.Fatalf("want a WATCH, then a GET:\n%s", s.Record)
				}
				if ended[4] != nil {
					t.Error(ended[4])
				}
				list := run.Step(t, stepVersion).Record.Verb("list", "configmaps").Requests[0]
				if s.Record.Opened != 0 || r[0].Conn != list.Conn || r[1].Conn != list.Conn {
					t.Errorf("want all on connection %d, and none opened:\n%s", list.Conn, s.Record)
				}
				s.Find(t, `Stop ends the request. The connection stays`)
			})).
			Assess("as printed: open before, not open after", assess(func(t *testing.T) {
				s := run.Step(t, stepStop)
				if got := s.Find(t, `open watches: (\d+), after Stop: (\d+)`); got[0] != "1" || got[1] != "0" {
					t.Errorf("printed %v", got)
				}
				if d := printedTime(t, s, `closed after (\S+ \S+)\n`); d > time.Second {
					t.Errorf("the channel was closed after %s", d)
				}
				if n := s.Int(t, `got (\d+) empty events`); n < 100 {
					t.Errorf("a loop without ok got %d empty events: it does not spin", n)
				}
			})).
			Assess("in the requests that are printed", wireAgrees(stepStop)).
			Assess("and leaves none open in any step", assess(func(t *testing.T) {
				for n, err := range ended {
					if err != nil {
						t.Errorf("after step %d: %v", n, err)
					}
				}
			})).
			Assess("nor by a client of the test's own", assess(stopThroughTheObserver)).Feature(),

		features.New("a Watch is a request, and over HTTP/2 no connection").WithLabel("claim", "N11").
			Assess("three watches share the List's connection; over HTTP/1.1 each has one", assess(func(t *testing.T) {
				s := run.Step(t, stepConnections)
				known := connections(run.Step(t, stepVersion).Record)
				for _, row := range []struct {
					proto string
					want  [3]int
				}{{"HTTP/2.0", [3]int{0, 0, 0}}, {"HTTP/1.1", [3]int{1, 2, 1}}} {
					phases := newConnections(t, s.Record, row.proto, known)
					printed := s.Find(t, strings.TrimSuffix(row.proto, ".0")+` +(\d+) +(\d+) +(\d+)`)
					if phases != row.want || fmt.Sprint(phases) != fmt.Sprint(printed) {
						t.Errorf("%s: observed %v, printed %v, want %v\n%s", row.proto, phases, printed, row.want, s.Record)
					}
				}
				if s.Record.Opened != 4 {
					t.Errorf("%d connections opened, want the 4 of HTTP/1.1", s.Record.Opened)
				}
				s.Find(t, `No: a watch is a long request, one stream`)
				s.Find(t, `Over HTTP/1.1 each keeps one to itself`)
			})).
			Assess("so that the whole lesson needs one connection", assess(func(t *testing.T) {
				http2 := configMaps(all).Where(func(r observer.Request) bool { return r.Proto == "HTTP/2.0" && r.Namespace == run.Namespace })
				watches := http2.Verb("watch", "")
				if len(connections(watches)) != 1 || watches.Count() < 10 {
					t.Errorf("%d watches on %d connections, want at least 10 on 1", watches.Count(), len(connections(watches)))
				}
			})).
			Assess("and without HTTP/2 the lesson says that it does", assess(func(t *testing.T) {
				again := runLesson(t, "02-watch", runOptions{
					args: []string{"-step", "3"}, env: []string{"DISABLE_HTTP2=1"}})
				s := again.Step(t, stepConnections)
				known := connections(again.Step(t, stepVersion).Record)
				if got, want := newConnections(t, s.Record, "HTTP/1.1", known), [3]int{0, 2, 1}; got != want {
					t.Errorf("observed %v of the first client, want %v\n%s", got, want, s.Record)
				}
				s.Find(t, `HTTP/1.1 +0 +2 +1\n`)
				s.Find(t, `Here it did`)
			})).Feature(),

		features.New("a watch that ends is resumed without a loss").
			Assess("by hand, after the server's timeout", assess(func(t *testing.T) {
				s := run.Step(t, stepTimeout)
				first, _ := resumed(t, s, "cyan")
				if !near(first.Duration, time.Second) || !near(first.Duration, printedTime(t, s, `ended the watch after (\S+ \S+)\n`)) {
					t.Errorf("the first watch took %s, want 1 s and as printed", first.Duration)
				}
			})).
			Assess("in the requests that are printed", wireAgrees(stepTimeout)).
			Assess("by RetryWatcher", assess(func(t *testing.T) { resumed(t, run.Step(t, stepRetry), "black") })).
			Assess("in the requests that it prints", wireAgrees(stepRetry)).
			Assess("which begins at most one watch a second, and ends on a 410", assess(retryThroughTheObserver)).
			Feature(),

		features.New("what else a watch can send is handled").
			Assess("a bookmark at the end of the initial events", assess(func(t *testing.T) {
				s := run.Step(t, stepBookmark)
				w := reads(s.Record).Verb("watch", "").Requests
				if len(w) != 1 || w[0].Events[watch.Bookmark] != 1 || w[0].Query.Get("sendInitialEvents") != "true" {
					t.Fatalf("want one watch with one bookmark:\n%s", s.Record)
				}
				if n := s.Int(t, `(\d+) × ADDED`); n != w[0].Events[watch.Added] || n != len(after) {
					t.Errorf("printed %d ADDED, observed %d, %d are there", n, w[0].Events[watch.Added], len(after))
				}
				s.Find(t, `BOOKMARK +resourceVersion \d+, k8s.io/initial-events-end: true`)
			})).
			Assess("in the request that is printed", wireAgrees(stepBookmark)).
			Assess("an Error event of the server's own", assess(func(t *testing.T) {
				s := run.Step(t, stepError)
				w := reads(s.Record).Verb("watch", "").Requests
				if len(w) != 1 || w[0].Events[watch.Error] != 1 || w[0].Status != 200 || w[0].Injected != "" {
					t.Fatalf("want one watch, answered with 200 and an Error event:\n%s", s.Record)
				}
				if !near(w[0].Duration, printedTime(t, s, `ERROR +Timeout, after (\S+ \S+);`)) {
					t.Errorf("the watch took %s, which is not what is printed", w[0].Duration)
				}
			})).
			Assess("in the request that it prints", wireAgrees(stepError)).
			Assess("a 410 that is injected, and says so", assess(func(t *testing.T) {
				s := run.Step(t, stepTooOld)
				s.Find(t, `ERROR +410 Expired \(injected\)`)
				s.Find(t, `IsResourceExpired: true, apierrors.IsGone: false`)
				var verbs []string
				for _, r := range configMaps(s.Record).Requests {
					verbs = append(verbs, r.Verb)
				}
				want := "list update update update watch list watch update"
				if got := strings.Join(verbs, " "); got != want {
					t.Errorf("observed %s, want %s", got, want)
				}
				if n := s.Record.Events()[watch.Error]; n != 0 {
					t.Errorf("the server sent %d Error events, so not all was injected", n)
				}
			})).
			Assess("with 1 LIST and 1 WATCH to recover", assess(func(t *testing.T) {
				wires := run.Step(t, stepTooOld).Wires(t)
				want := map[string]int{"list": 1, "watch": 1}
				if len(wires) != 2 || cmp.Diff(want, wires[1].Requests) != "" {
					t.Errorf("printed %v, want %v the second time", wires, want)
				}
			})).
			Assess("in the requests that it prints", wireAgrees(stepTooOld)).Feature(),

		features.New("lesson 02 prints what is recorded").
			Assess("but for names, times, sizes and how often a wrong loop turns", assess(func(t *testing.T) {
				checkTranscript(t, run, mask{regexp.MustCompile(`got \d+ empty events`), "got N empty events"})
			})).
			Assess("and leaves no namespace", assess(func(t *testing.T) { namespaceGoes(t, run.Namespace) })).
			Feature(),
	)
}

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
	if !updates[1].Start.After(first.Start.Add(first.Duration)) || !second.Start.After(updates[1].Start.Add(updates[1].Duration/2)) {
		t.Errorf("the second update did not fall between the watches:\n%s", s.Record)
	}
	for i, w := range watches {
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
