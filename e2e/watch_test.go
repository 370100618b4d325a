package e2e

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/internal/observer"
)

// watchMasks are for what differs between two runs of lesson 02.
var watchMasks = []mask{
	{regexp.MustCompile(`got \d+ empty events`), "got N empty events"},
	{regexp.MustCompile(`\d+ goroutines`), "N goroutines"},
}

// What N9's wording leaves out: Watch takes a context and options, and returns an error.
var _ func(typedcorev1.ConfigMapInterface, context.Context, metav1.ListOptions) (
	watch.Interface, error) = typedcorev1.ConfigMapInterface.Watch

func TestWatch(t *testing.T) {
	var own watch.Interface // the test's, beside the lesson's
	var told []string       // what it was told
	var before, after []string
	var bookmarked string       // what a watch of the test's own said
	ended := map[string]error{} // by step: that it left no watch open
	mark := lab.observer.Mark()
	ns := ""
	run := runLesson(t, "02-watch", runOptions{
		namespace: &ns,
		entering: func(step string) {
			if step == "watch" {
				before = namesIn(t, ns)
				own = watchBeside(t, ns)
			}
		},
		leaving: func(step string) {
			ended[step] = allWatchesEnd(t, mark)
			switch step {
			case "watch":
				after = namesIn(t, ns)
				told = take(t, own, 3)
			case "bookmark":
				bookmarked = untilBookmark(t, ns)
			}
		},
	})
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
		features.New("the technique follows changes in 2 requests, on 1 connection").
			Assess("which the observer sees as printed", assess(func(t *testing.T) {
				techniqueAgrees(t, run, map[string]int{"list": 1, "watch": 1})
			})).
			Assess("and it prints somebody else's three changes", assess(func(t *testing.T) {
				const want = "ADDED window\n   MODIFIED window\n   DELETED window\n   the watch has ended"
				if !strings.Contains(run.Output, want) {
					t.Errorf("want %q in:\n%s", want, run.Output)
				}
			})).Feature(),

		features.New("a Watch from a List's resourceVersion tells each change once").WithLabel("claim", "N9").
			Assess("three changes as the same three events that the test is told", assess(func(t *testing.T) {
				printed := printedEvents(run.Step(t, "watch"))
				if diff := cmp.Diff(told, printed); diff != "" || len(printed) != 3 {
					t.Errorf("(-told to the test +printed)\n%s", diff)
				}
			})).
			Assess("which went by on the lesson's own watch, no more and no fewer", assess(func(t *testing.T) {
				s := run.Step(t, "watch")
				watches := reads(s.Record).Verb("watch", "").Requests
				if len(watches) != 1 {
					t.Fatalf("%d watches, want 1\n%s", len(watches), s.Record)
				}
				want := map[watch.EventType]int{watch.Added: 1, watch.Modified: 1, watch.Deleted: 1}
				if diff := cmp.Diff(want, watches[0].Events); diff != "" {
					t.Errorf("(-want +observed)\n%s", diff)
				}
				from := run.Step(t, "list").Find(t, `resourceVersion (\d+)`)[0]
				if got := watches[0].Query.Get("resourceVersion"); got != from {
					t.Errorf("it began at resourceVersion %s, the List was of %s", got, from)
				}
			})).
			Assess("so that the List and the events make the new List", assess(func(t *testing.T) {
				s := run.Step(t, "watch")
				got := applied(before, printedEvents(s))
				if !slices.Equal(got, after) || slices.Equal(before, after) {
					t.Errorf("%v and the printed events make %v, the server has %v", before, got, after)
				}
				s.Find(t, `a new List: nothing was missed, nothing came twice`)
			})).
			Assess("in the requests that are printed", wireAgrees("watch")).Feature(),

		features.New("a Watch from nowhere begins with what is there").WithLabel("claim", "N9").
			Assess("as Added, and never says what is gone", assess(func(t *testing.T) {
				s := run.Step(t, "begin")
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
					added := e[watch.Added]
					if i == 0 {
						added -= len(after) - len(lessonsOwn(after)) // the lesson counts its own alone
					}
					observed := fmt.Sprint(added, e[watch.Modified], e[watch.Deleted])
					if strings.Join(printed, " ") != observed {
						t.Errorf("%s: printed %v, observed %s", c.row, printed, observed)
					}
					if from := watches[i].Query.Get("resourceVersion"); (from == "") != (i == 0) {
						t.Errorf("%s: the watch began at resourceVersion %q", c.row, from)
					}
				}
			})).
			Assess("in the requests that are printed", wireAgrees("begin")).Feature(),

		features.New("Stop ends the watch, and only the watch").WithLabel("claim", "N10").
			Assess("the request ends, the connection stays for the next one", assess(func(t *testing.T) {
				s := run.Step(t, "stop")
				r := reads(s.Record).Requests
				if len(r) != 2 || r[0].Verb != "watch" || r[1].Verb != "get" {
					t.Fatalf("want a WATCH, then a GET:\n%s", s.Record)
				}
				if ended["stop"] != nil {
					t.Error(ended["stop"])
				}
				list := run.Step(t, "list").Record.Verb("list", "configmaps").Requests[0]
				if s.Record.Opened != 0 || r[0].Conn != list.Conn || r[1].Conn != list.Conn {
					t.Errorf("want all on connection %d, and none opened:\n%s", list.Conn, s.Record)
				}
				s.Find(t, `Stop ends the request. The connection stays`)
			})).
			Assess("as printed: open before, not open after", assess(func(t *testing.T) {
				s := run.Step(t, "stop")
				if got := s.Find(t, `open watches: (\d+), after Stop: (\d+)`); got[0] != "1" || got[1] != "0" {
					t.Errorf("printed %v", got)
				}
				timeout := printedTime(t, run.Step(t, "resume"), `watch ended after (\S+ \S+)\n`)
				if d := printedTime(t, s, `closed after (\S+ \S+)\n`); d > timeout {
					t.Errorf("the channel was closed after %s, the server's timeout took %s", d, timeout)
				}
				if n := s.Int(t, `got (\d+) empty events`); n < 100 {
					t.Errorf("a loop without ok got %d empty events: it does not spin", n)
				}
			})).
			Assess("in the requests that are printed", wireAgrees("stop")).
			Assess("and leaves none open in any step", assess(func(t *testing.T) {
				for step, err := range ended {
					if err != nil {
						t.Errorf("after %s: %v", step, err)
					}
				}
			})).
			Assess("nor by a client of the test's own", assess(stopThroughTheObserver)).
			Assess("nor when its context is over", assess(endWithTheContext)).Feature(),

		features.New("a Watch is a request, and over HTTP/2 no connection").WithLabel("claim", "N11").
			Assess("three watches share the List's connection; over HTTP/1.1 each has one", assess(func(t *testing.T) {
				s := run.Step(t, "connections")
				known := connections(run.Step(t, "list").Record)
				for _, row := range []struct {
					proto string
					want  [3]int
				}{{"HTTP/2.0", [3]int{0, 0, 0}}, {"HTTP/1.1", [3]int{1, 2, 1}}} {
					phases := newConnections(t, s.Record, row.proto, known)
					printed := s.Find(t, strings.TrimSuffix(row.proto, ".0")+` +(\d+) +(\d+) +(\d+)`)
					if phases != row.want || fmt.Sprint(phases) != fmt.Sprint(printed) {
						t.Errorf("%s: observed %v, printed %v, want %v\n%s",
							row.proto, phases, printed, row.want, s.Record)
					}
				}
				if s.Record.Opened != 4 {
					t.Errorf("%d connections opened, want the 4 of HTTP/1.1", s.Record.Opened)
				}
				s.Find(t, `No: a watch is a long request, one stream`)
				s.Find(t, `Over HTTP/1.1 each watch has its own`)
			})).
			Assess("so that the steps need one connection", assess(func(t *testing.T) {
				var watches observer.Record
				for _, step := range []string{"watch", "connections", "stop", "begin", "resume", "retry-watcher",
					"bookmark", "error-event", "too-old", "until", "selector"} {
					watches.Requests = append(watches.Requests, reads(run.Step(t, step).Record).Where(
						func(r observer.Request) bool { return r.Verb == "watch" && r.Proto == "HTTP/2.0" }).Requests...)
				}
				if n := len(connections(watches)); n != 1 || watches.Count() < 10 {
					t.Errorf("%d watches on %d connections, want at least 10 on 1", watches.Count(), n)
				}
			})).
			Assess("and without HTTP/2 the lesson says that it does", assess(func(t *testing.T) {
				again := runLesson(t, "02-watch", runOptions{
					args: []string{"-step", "connections"}, env: []string{"DISABLE_HTTP2=1"}})
				s := again.Step(t, "connections")
				known := connections(again.Step(t, "list").Record)
				if got, want := newConnections(t, s.Record, "HTTP/1.1", known), [3]int{0, 2, 1}; got != want {
					t.Errorf("observed %v of the first client, want %v\n%s", got, want, s.Record)
				}
				s.Find(t, `HTTP/1.1 +0 +2 +1\n`)
				s.Find(t, `Here it did`)
			})).Feature(),

		features.New("a watch that ends is resumed without a loss").
			Assess("by hand, after the server's timeout", assess(func(t *testing.T) {
				s := run.Step(t, "resume")
				first, _ := resumed(t, s, "cyan")
				printed := printedTime(t, s, `watch ended after (\S+ \S+)\n`)
				if first.Duration < 900*time.Millisecond || !near(first.Duration, printed) {
					t.Errorf("the first watch took %s, printed %s, want 1 s or more", first.Duration, printed)
				}
			})).
			Assess("in the requests that are printed", wireAgrees("resume")).
			Assess("by RetryWatcher", assess(func(t *testing.T) {
				resumed(t, run.Step(t, "retry-watcher"), "black")
			})).
			Assess("in the requests that it prints", wireAgrees("retry-watcher")).
			Assess("which begins at most one watch a second, and ends on a 410", assess(retryThroughTheObserver)).
			Feature(),

		features.New("what else a watch can send is handled").
			Assess("a bookmark at the end of the initial events", assess(func(t *testing.T) {
				s := run.Step(t, "bookmark")
				w := reads(s.Record).Verb("watch", "").Requests
				if diff := cmp.Diff(initialEvents(""), query(w)); diff != "" {
					t.Fatalf("(-want +observed)\n%s\n%s", diff, s.Record)
				}
				printed := s.Find(t, `(\d+) × (ADDED), then\n(BOOKMARK) .*, (k8s.io/initial-events-end: true)`)
				if got := strings.Join(printed, " "); got != bookmarked {
					t.Errorf("printed %s, the test was told %s", got, bookmarked)
				}
			})).
			Assess("in the request that is printed", wireAgrees("bookmark")).
			Assess("an Error event of the server's own", assess(func(t *testing.T) {
				s := run.Step(t, "error-event")
				w := reads(s.Record).Verb("watch", "").Requests
				if len(w) != 1 || w[0].Status != 200 || w[0].Injected != "" {
					t.Fatalf("want one watch, answered with 200:\n%s", s.Record)
				}
				printed := s.Find(t, `ERROR +(\S+), .* a (\S+)\nResourceVersionTooLarge: (\S+), `)
				if took := printedTime(t, s, `ERROR +\S+, after (\S+ \S+);`); !near(w[0].Duration, took) {
					t.Errorf("the watch took %s, printed is %s", w[0].Duration, took)
				}
				e := firstEvent(t, "default", initialEvents(w[0].Query.Get("resourceVersion")))
				err := apierrors.FromObject(e.Object)
				told := fmt.Sprint(e.Type, apierrors.ReasonForError(err), fmt.Sprintf("%T", e.Object),
					apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge))
				if got := fmt.Sprint("ERROR", printed[0], printed[1], printed[2]); got != told {
					t.Errorf("printed %s, the test was told %s", got, told)
				}
			})).
			Assess("in the request that it prints", wireAgrees("error-event")).
			Assess("a 410 that is injected, and says so", assess(func(t *testing.T) {
				s := run.Step(t, "too-old")
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
			Assess("and is like the server's own, once it has one", assess(func(t *testing.T) {
				e := firstEvent(t, "default",
					metav1.ListOptions{ResourceVersion: "1", TimeoutSeconds: new(int64(1))})
				if e.Type != watch.Error {
					t.Log("this server still has its first changes, so it has no 410 to compare with")
					return
				}
				err := apierrors.FromObject(e.Object)
				if !apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
					t.Errorf("a watch from resourceVersion 1 is told %v, want Expired", err)
				}
			})).
			Assess("with 1 LIST and 1 WATCH to recover", assess(func(t *testing.T) {
				wires := run.Step(t, "too-old").Wires(t)
				want := map[string]int{"list": 1, "watch": 1}
				if len(wires) != 2 || cmp.Diff(want, wires[1].Requests) != "" {
					t.Errorf("printed %v, want %v the second time", wires, want)
				}
			})).
			Assess("in the requests that it prints", wireAgrees("too-old")).Feature(),

		features.New("UntilWithSync waits for one thing, and survives a 410").
			Assess("with two watches, of which the first was refused", assess(func(t *testing.T) {
				s := run.Step(t, "until")
				watches := reads(s.Record).Verb("watch", "").Requests
				if len(watches) != 2 || watches[1].Query.Get("sendInitialEvents") != "true" {
					t.Errorf("want 2 watches, the second with the initial events:\n%s", s.Record)
				}
				s.Find(t, `ADDED +door +white\nMODIFIED +door +green\n`)
			})).
			Assess("in the requests that are printed", assess(func(t *testing.T) {
				s := run.Step(t, "until")
				want, got := onWire(reads(s.Record)), s.Wires(t)[0]
				want.Bytes = got.Bytes // the answer of the first watch was replaced
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-observed +printed)\n%s\n%s", diff, s.Record)
				}
			})).Feature(),

		features.New("with a selector, DELETED is not deleted").
			Assess("the object is still on the server", assess(func(t *testing.T) {
				s := run.Step(t, "selector")
				r := reads(s.Record).Requests
				if len(r) != 2 || r[0].Events[watch.Deleted] != 1 || r[1].Verb != "get" || r[1].Status != 200 {
					t.Errorf("want a WATCH with one DELETED, then a GET that finds it:\n%s", s.Record)
				}
				s.Find(t, `DELETED +gate +side=front`)
			})).
			Assess("in the requests that are printed", wireAgrees("selector")).Feature(),

		features.New("what holds a watch open, and what ends it").
			Assess("150 watches without Stop stay open, and need a second connection", assess(func(t *testing.T) {
				s := run.Step(t, "left-open")
				if n := s.Record.Verb("watch", "configmaps").Count(); n != 150 || s.Record.Opened != 1 {
					t.Errorf("%d watches, %d connections opened; want 150 and 1", n, s.Record.Opened)
				}
				if n := s.Int(t, `(\d+) goroutines more`); n < 150 {
					t.Errorf("%d goroutines for 150 watches", n)
				}
			})).
			Assess("a cut network is noticed by a ping", assess(func(t *testing.T) {
				if d := printedTime(t, run.Step(t, "silent"), `the watch ended after (\S+ \S+)\n`); d < 1900*time.Millisecond {
					t.Errorf("noticed after %s: a ping after 1 s and 1 s of waiting take 2 s", d)
				}
			})).
			Assess("rest.Config.Timeout ends a watch", assess(timeoutEndsAWatch)).Feature(),

		features.New("lesson 02 prints what is recorded").
			Assess("but for names, times, sizes and how often a wrong loop turns", assess(func(t *testing.T) {
				checkTranscript(t, run, watchMasks...)
			})).
			Assess("and leaves no namespace", assess(func(t *testing.T) { namespaceGoes(t, run.Namespace) })).
			Feature(),
	)
}
