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
var _ func(typedcorev1.ConfigMapInterface, context.Context, metav1.ListOptions) (
	watch.Interface, error) = typedcorev1.ConfigMapInterface.Watch

func TestWatch(t *testing.T) {
	var own watch.Interface // the test's, beside the lesson's in step 2
	var told []string       // what it was told
	var before, after []string
	var bookmarked string    // what a watch of the test's own said in step 8
	ended := map[int]error{} // by step: that it left no watch open
	mark := lab.observer.Mark()
	ns := ""
	run := runLesson(t, "02-watch", runOptions{
		namespace: &ns,
		before: func(n int) {
			if n == 2 {
				before = namesIn(t, ns)
				own = watchBeside(t, ns)
			}
		},
		after: func(n int) {
			ended[n] = allWatchesEnd(t, mark)
			if n == 2 {
				after = namesIn(t, ns)
				told = take(t, own, 3)
			}
			if n == 8 {
				bookmarked = untilBookmark(t, ns)
			}
		},
	})
	all := lab.observer.Since(mark)
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
				got := applied(before, printedEvents(s))
				if !slices.Equal(got, after) || slices.Equal(before, after) {
					t.Errorf("%v and the printed events make %v, the server has %v", before, got, after)
				}
				s.Find(t, `a new List: nothing was missed, nothing came twice`)
			})).
			Assess("in the requests that are printed", wireAgrees(stepWatch)).Feature(),

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
				timeout := printedTime(t, run.Step(t, stepTimeout), `watch ended after (\S+ \S+)\n`)
				if d := printedTime(t, s, `closed after (\S+ \S+)\n`); d > timeout {
					t.Errorf("the channel was closed after %s, the server's timeout took %s", d, timeout)
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
			Assess("nor by a client of the test's own", assess(stopThroughTheObserver)).
			Assess("nor when its context is over", assess(endWithTheContext)).Feature(),

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
						t.Errorf("%s: observed %v, printed %v, want %v\n%s",
							row.proto, phases, printed, row.want, s.Record)
					}
				}
				if s.Record.Opened != 4 {
					t.Errorf("%d connections opened, want the 4 of HTTP/1.1", s.Record.Opened)
				}
				s.Find(t, `No: a watch is a long request, one stream`)
				s.Find(t, `Over HTTP/1.1 each keeps one to itself`)
			})).
			Assess("so that the whole lesson needs one connection", assess(func(t *testing.T) {
				watches := configMaps(all).Where(func(r observer.Request) bool {
					return r.Verb == "watch" && r.Proto == "HTTP/2.0" && r.Namespace == run.Namespace
				})
				if n := len(connections(watches)); n != 1 || watches.Count() < 10 {
					t.Errorf("%d watches on %d connections, want at least 10 on 1", watches.Count(), n)
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
				printed := printedTime(t, s, `watch ended after (\S+ \S+)\n`)
				if first.Duration < 900*time.Millisecond || !near(first.Duration, printed) {
					t.Errorf("the first watch took %s, printed %s, want 1 s or more", first.Duration, printed)
				}
			})).
			Assess("in the requests that are printed", wireAgrees(stepTimeout)).
			Assess("by RetryWatcher", assess(func(t *testing.T) {
				resumed(t, run.Step(t, stepRetry), "black")
			})).
			Assess("in the requests that it prints", wireAgrees(stepRetry)).
			Assess("which begins at most one watch a second, and ends on a 410", assess(retryThroughTheObserver)).
			Feature(),

		features.New("what else a watch can send is handled").
			Assess("a bookmark at the end of the initial events", assess(func(t *testing.T) {
				s := run.Step(t, stepBookmark)
				w := reads(s.Record).Verb("watch", "").Requests
				if diff := cmp.Diff(initialEvents(""), query(w)); diff != "" {
					t.Fatalf("(-want +observed)\n%s\n%s", diff, s.Record)
				}
				printed := s.Find(t, `(\d+) × (ADDED), then\n(BOOKMARK) .*, (k8s.io/initial-events-end: true)`)
				if got := strings.Join(printed, " "); got != bookmarked {
					t.Errorf("printed %s, the test was told %s", got, bookmarked)
				}
			})).
			Assess("in the request that is printed", wireAgrees(stepBookmark)).
			Assess("an Error event of the server's own", assess(func(t *testing.T) {
				s := run.Step(t, stepError)
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
