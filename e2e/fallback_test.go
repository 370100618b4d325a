package e2e

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/internal/observer"
)

func TestFallback(t *testing.T) {
	var ns, count string            // the lesson's namespace, and what step race wrote last
	var children = map[string]int{} // that step create left on the server, by label
	var sent <-chan time.Time       // when the server had sent step late's events to somebody else
	// What the informer's watch had brought before and after each step.
	before, after := map[string]int64{}, map[string]int64{}
	mark := lab.observer.Mark()
	run := runLesson(t, "04-fallback", runOptions{
		namespace: &ns,
		entering: func(step string) {
			before[step] = configMaps(lab.observer.Since(mark)).Verb("watch", "").Bytes()
			if step == "late" {
				sent = changed(t, ns, 20)
			}
		},
		leaving: func(step string) {
			after[step] = configMaps(lab.observer.Since(mark)).Verb("watch", "").Bytes()
			switch step {
			case "race":
				count = dataOf(t, ns, "app")["count"]
			case "create":
				children["a generated name"] = countOf(t, ns, "child=generated")
				children["a fixed name"] = countOf(t, ns, "child=named")
			}
		},
	})
	// requestsAgree compares requests, the bytes of their answers, and those of the informer's watch.
	requestsAgree := func(name string) features.Func {
		return assess(func(t *testing.T) {
			s := run.Step(t, name)
			want := onWire(configMaps(s.Record)).withEvents(after[name] - before[name])
			if diff := cmp.Diff([]printedWire{want}, s.Wires(t)); diff != "" {
				t.Errorf("(-observed +printed)\n%s\n%s", diff, s.Record)
			}
		})
	}

	testenv.Test(t,
		features.New("a cache can be behind right after an update").WithLabel("claim", "N24").
			Assess("some first reads are stale, and fresh a moment later", assess(func(t *testing.T) {
				stale, p50, most := staleness(t, run.Step(t, "race"), 500)
				if p50 > most {
					t.Errorf("%d stale, for %s, %s at most", stale, p50, most)
				}
				if count != "499" {
					t.Errorf("500 writes, but the server has count %q, want 499", count)
				}
			})).
			Assess("by 500 updates and as many reads that were no requests", requestsAgree("race")).
			Assess("all are, when the events come after the answers", assess(func(t *testing.T) {
				const late = 10 * time.Millisecond
				again := runStep(t, "race", observer.Match{Verb: "watch", Resource: "configmaps"}, delayBody(late))
				stale, p50, _ := staleness(t, again.Step(t, "race"), 500)
				if stale < 475 || p50 < late/2 {
					t.Errorf("%d of 500 stale, for %s: the events were %s late", stale, p50, late)
				}
			})).
			Assess("none is, when the events come first", assess(func(t *testing.T) {
				again := runStep(t, "race", observer.Match{Verb: "update", Resource: "configmaps"},
					delayAnswer(5*time.Millisecond))
				stale, _, _ := staleness(t, again.Step(t, "race"), 500)
				before, _, _ := staleness(t, run.Step(t, "race"), 500)
				if stale > max(25, before/2) { // a busy machine may be later still, now and then
					t.Errorf("%d of 500 stale, %d without delay, though the events had time to come first",
						stale, before)
				}
			})).Feature(),

		features.New("a cache can be behind for a second or two").WithLabel("claim", "N25").
			Assess("for as long as its events are held back", assess(func(t *testing.T) {
				s := run.Step(t, "late")
				stale, p50, most := staleness(t, s, 20)
				if stale != 20 || p50 < 1400*time.Millisecond {
					t.Errorf("%d of 20 stale, for %s, %s at most: want all, for 1.5 s", stale, p50, most)
				}
				s.Find(t, `watch events held back 1\.5 s \(injected\)`)
			})).
			Assess("which the lesson does, and not the server", assess(func(t *testing.T) {
				var answered time.Time
				for _, put := range configMaps(run.Step(t, "late").Record).Requests {
					if end := put.Start.Add(put.Duration); end.After(answered) {
						answered = end
					}
				}
				at, ok := <-sent
				_, p50, _ := staleness(t, run.Step(t, "late"), 20)
				if late := at.Sub(answered); !ok || late > p50/2 {
					t.Errorf("the server was %s late with its events: that is not the lesson's doing", late)
				}
			})).
			Assess("and longer, when the server's come late as well", assess(func(t *testing.T) {
				again := runStep(t, "late", observer.Match{Verb: "watch", Resource: "configmaps"},
					delayBody(600*time.Millisecond))
				if _, p50, _ := staleness(t, again.Step(t, "late"), 20); p50 < 2*time.Second {
					t.Errorf("stale for %s, want 1.5 s and 0.6 s more", p50)
				}
			})).
			Assess("with one request for each write", requestsAgree("late")).Feature(),

		features.New("retries account for it, if they last longer than the lag").WithLabel("claim", "N26").
			Assess("client-go's own two give up on 1.5 s", assess(func(t *testing.T) {
				s := run.Step(t, "late")
				for backoff, least := range map[string]time.Duration{
					"DefaultRetry": 40 * time.Millisecond, "DefaultBackoff": 310 * time.Millisecond} {
					row := fmt.Sprintf(`retry\.%s +(\d+) of 20`, backoff)
					if n := s.Int(t, row); n != 20 {
						t.Errorf("%s gave up %d times, want 20", backoff, n)
					}
					after := printedTime(t, s, fmt.Sprintf(`retry\.%s +20 of 20 +(\S+ \S+)`, backoff))
					if _, lag, _ := staleness(t, s, 20); after < least || after > lag {
						t.Errorf("%s gave up after %s, want %s or more, and before the lag of %s was over",
							backoff, after, least, lag)
					}
				}
			})).
			Assess("one of seconds gets there, without a request", assess(func(t *testing.T) {
				r := remedyOf(t, run, "retry")
				if r.own != 0 || r.printed != "0" || r.observed != 0 || r.p50 < 90*time.Millisecond {
					t.Errorf("want no stale read of its own, 0 requests, and the lag of 100 ms in the time: %+v", r)
				}
			})).
			Assess("waiting for the version does so as soon as the event is there", assess(func(t *testing.T) {
				r, retry := remedyOf(t, run, "wait"), remedyOf(t, run, "retry")
				if r.own != 0 || r.printed != "0" || r.observed != 0 ||
					r.p50 < 90*time.Millisecond || r.p50 > 2*retry.p50 {
					t.Errorf("want no stale read of its own, 0 requests, the lag of 100 ms in the time, "+
						"not far above that of retrying: %+v, %+v", r, retry)
				}
			})).
			Assess("what was written can be kept: that takes neither time nor a request", assess(func(t *testing.T) {
				r, wait := remedyOf(t, run, "keep"), remedyOf(t, run, "wait")
				if r.own != 0 || r.printed != "0" || r.observed != 0 || 10*r.p50 > wait.p50 {
					t.Errorf("want no stale read of its own, 0 requests, far quicker than waiting: %+v, %+v", r, wait)
				}
			})).
			Assess("without any of them, what was written is not seen", assess(func(t *testing.T) {
				r := remedyOf(t, run, "cache")
				if r.own < almostAll || r.printed != "0" || r.observed != 0 || r.p50 != 0 {
					t.Errorf("want 200 stale reads, so no time to a fresh answer, 0 requests: %+v", r)
				}
			})).
			Assess("after a conflict they do not, as long as they read the cache", assess(func(t *testing.T) {
				conflictsAgree(t, run)
			})).
			Assess("a Waiter says so when it cannot know", assess(waitWithSelector)).Feature(),

		features.New("a direct read is consistent, and needed only when the cache is behind").WithLabel("claim", "N27").
			Assess("live if behind: one request for each write", assess(func(t *testing.T) {
				r := remedyOf(t, run, "behind")
				if r.own != 0 || r.printed != "0.2" || r.observed < almostAll || 10*r.p50 < 9*r.median {
					t.Errorf("want no stale read of its own, 0.2 requests a read, 200 GETs observed, "+
						"none faster: %+v", r)
				}
			})).
			Assess("always live: each read is one", assess(func(t *testing.T) {
				r := remedyOf(t, run, "live")
				others := configMaps(run.Step(t, "remedies").Record).Verb("get", "").Where(
					func(q observer.Request) bool {
						return strings.HasPrefix(q.Name, "item-") || strings.HasPrefix(q.Name, "theirs-")
					})
				if r.own != 0 || r.printed != "1" || r.observed+others.Count() != 1000 || 10*r.p50 < 9*r.median {
					t.Errorf("want no stale read of its own, 1 request a read, 1000 GETs observed: %+v and %d of others",
						r, others.Count())
				}
			})).
			Assess("and only that shows what others wrote", assess(func(t *testing.T) {
				for remedy := range remedyNames {
					r := remedyOf(t, run, remedy)
					if remedy == "live" && r.others != 0 || remedy != "live" && r.others < almostAll {
						t.Errorf("%s: %d of 200 reads missed what others wrote", remedy, r.others)
					}
				}
				run.Step(t, "remedies").Find(t, `Only the last way is sure to show what somebody else wrote`)
			})).
			Assess("the same work for all six", assess(func(t *testing.T) {
				s := run.Step(t, "remedies")
				got := onWire(configMaps(s.Record)).Requests
				reads := got["get"]
				delete(got, "get")
				want := map[string]int{"create": 6 * 10, "update": 6 * 190, "patch": 6 * 200}
				if diff := cmp.Diff(want, got); diff != "" || reads < 1000+almostAll || reads > 1200 {
					t.Errorf("%d GETs, want 1200; (-want +observed)\n%s", reads, diff)
				}
				s.Find(t, `1000 reads each way, 200 after a write of yours, 200 after somebody else's`)
				s.Find(t, `held back 100 ms \(injected\)`)
			})).
			Assess("after a conflict it gets the update through", assess(func(t *testing.T) {
				conflictsAgree(t, run)
			})).
			Assess("an update without a version overwrites what it never saw", assess(overwritesUnseen)).
			Assess("a fixed name keeps a stale cache from making a thing twice", assess(func(t *testing.T) {
				s := run.Step(t, "create")
				for by, want := range map[string]string{"a generated name": "2 0 0 2", "a fixed name": "2 1 1 1"} {
					row := s.Find(t, by+` +(\d+) +(\d+) +(\d+) +(\d+)`)
					if got := strings.Join(row, " "); got != want {
						t.Errorf("%s: printed %s, want %s", by, got, want)
					}
					if row[3] != strconv.Itoa(children[by]) {
						t.Errorf("%s: printed %s children, the server has %d", by, row[3], children[by])
					}
				}
				// The last 201 and 409 are those of somebody else's ConfigMap.
				want := "get app 200, create 201, create 201, create 201, list 200, " +
					"create 201, create 409, get app-settings 200, list 200, create 409, get app-taken 200"
				if got := sequence(s); got != want {
					t.Errorf("observed %s\nwant     %s", got, want)
				}
				s.Find(t, `Somebody else's ConfigMap under that name is an error`)
			})).
			Assess("of four failed reads one says that there is none", assess(func(t *testing.T) {
				s := run.Step(t, "notfound")
				for row, want := range map[string]string{
					`has none`:                    "1 NotFound yes: create it",
					`refuses to say \(injected\)`: "1 Forbidden not known",
					`cannot say now \(injected\)`: "1 Timeout not known",
					`was given no time`:           "0 context.DeadlineExceeded not known",
				} {
					if got := strings.Join(s.Find(t, row+` +(\d) +(\S+) +(\S.*)`), " "); got != want {
						t.Errorf("%s: printed %q, want %q", row, got, want)
					}
				}
				// The server said NotFound to all that it was asked: the refusals are injected.
				if got, want := sequence(s), "get nothing 404, get nothing 404, get nothing 404"; got != want {
					t.Errorf("observed %s, want %s", got, want)
				}
				s.Find(t, `would create 4 times; right: 1`)
			})).Feature(),

		features.New("the technique of lesson 04 asks the server only if the cache is behind").
			Assess("and says which it was", assess(func(t *testing.T) {
				gets := configMaps(run.Setup).Verb("get", "").Where(
					func(q observer.Request) bool { return q.Name == "app" }).Count()
				from := map[int]string{0: "the cache", 1: "the server"}[gets]
				if want := "app is green, as read from " + from; from == "" || !strings.Contains(run.Output, want) {
					t.Errorf("%d GETs; does not print %q:\n%s", gets, want, run.Output)
				}
			})).Feature(),

		features.New("lesson 04 prints what is recorded").
			Assess("but for names, times, sizes and how many reads were stale", assess(func(t *testing.T) {
				checkTranscript(t, run, fallbackMasks...)
			})).
			Assess("and draws its conclusion from the numbers above it", assess(func(t *testing.T) {
				conclusionAgrees(t, run)
			})).
			Assess("and leaves no namespace", assess(func(t *testing.T) { namespaceGoes(t, run.Namespace) })).
			Feature(),
	)
}

// fallbackMasks are for what is natural: a race between an answer and an event, in the technique and
// in step race. Where events are held back, a machine that stands still for as long sees fewer.
var fallbackMasks = []mask{
	{regexp.MustCompile(`as read from the (cache|server)`), "as read from SOMEWHERE"},
	{regexp.MustCompile(`wire: (1 GET \+ )?1 WATCH \+ 1 PATCH`), "wire: 1 WATCH + 1 PATCH"},
	{regexp.MustCompile(`stale on first read: \d+ of 500`), "stale on first read: N of 500"},
	{regexp.MustCompile(`(?m)^   (up to \d|over \d|\d\S* [µm]s to \d).*$`), "BUCKET"},
	{regexp.MustCompile(`here \d+ times`), "here N times"},
	{regexp.MustCompile(`(?m) (19\d|200) `), " ALL "},
}

// almostAll of 200 reads are stale: a busy machine may take longer for one than the events do.
const almostAll = 190

// staleness reads what steps race and late print, and checks that it agrees with itself.
func staleness(t *testing.T, s step, of int) (stale int, p50, most time.Duration) {
	t.Helper()
	stale = s.Int(t, fmt.Sprintf(`stale on first read: (\d+) of %d\n`, of))
	if stale == 0 {
		s.Find(t, `None this time`)
		return 0, 0, 0
	}
	p50 = printedTime(t, s, `fresh after +half (\S+ \S+) `)
	most = printedTime(t, s, `fresh after .* slowest (\S+ \S+)\n`)
	sum, bars := 0, false
	for _, line := range s.Lines {
		if m := regexp.MustCompile(`^(?:up to|over|\d\S* [µm]s to) \d\S* [µm]s +(\d+)\b`).FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			sum, bars = sum+n, true
		}
	}
	if bars && sum != stale {
		t.Errorf("%d stale reads, but %d in the histogram:\n%s", stale, sum, strings.Join(s.Lines, "\n"))
	}
	return stale, p50, most
}

// remedyNames are the names that step remedies prints, by the beginning of the names of the
// ConfigMaps that a remedy writes.
var remedyNames = map[string]string{
	"cache":  "the cache, nothing else",
	"retry":  "look again, with backoff",
	"wait":   "wait for the written version",
	"keep":   "keep your writes: MutationCache",
	"behind": "live if the cache is behind",
	"live":   "always live",
}

// printedRemedy is a row of step remedies, and the GETs that the observer saw of what the remedy
// wrote.
type printedRemedy struct {
	own, others int
	printed     string        // requests a read
	p50         time.Duration // 0 where there is none
	observed    int
	median      time.Duration // of those GETs, as the observer saw them
}

func remedyOf(t *testing.T, run lessonRun, remedy string) (r printedRemedy) {
	t.Helper()
	s := run.Step(t, "remedies")
	row := regexp.QuoteMeta(remedyNames[remedy]) + ` +`
	found := s.Find(t, row+`(\d+) +(\d+) +(\S+) +(\d\S* \S+|-) +(?:\d\S* \S+|-)(?:\n|$)`)
	r.own, _ = strconv.Atoi(found[0])
	r.others, _ = strconv.Atoi(found[1])
	r.printed = found[2]
	if found[3] != "-" {
		r.p50 = printedTime(t, s, row+`\d+ +\d+ +\S+ +(\S+ \S+)`)
	}
	var took []time.Duration
	for _, q := range configMaps(s.Record).Verb("get", "").Requests {
		if strings.HasPrefix(q.Name, remedy+"-") {
			took = append(took, q.Duration)
		}
	}
	if r.observed = len(took); r.observed > 0 {
		slices.Sort(took)
		r.median = took[(len(took)-1)/2].Round(time.Millisecond / 10)
	}
	return r
}

// conflictsAgree compares the table of step conflict with what went over the wire, request by request.
func conflictsAgree(t *testing.T, run lessonRun) {
	t.Helper()
	s := run.Step(t, "conflict")
	rows := []struct{ from, printed, observed string }{
		{"the cache, DefaultRetry", "0 5 5 gave up kept", strings.Repeat("update app 409, ", 5)},
		{"the cache, DefaultBackoff", "0 4 4 gave up kept", strings.Repeat("update app 409, ", 4)},
		{"the cache, version removed", "0 1 0 saved lost", "update app 200, "},
		{"the server", "1 1 0 saved kept", "get app 200, update app 200, "},
		{"the cache, then the server", "1 2 1 saved kept", "update app 409, get app 200, update app 200, "},
		{"nothing: a Patch", "0 1 0 saved kept", "patch app 200, "},
		{"nothing: an Apply", "0 1 0 saved kept", "patch app 200, "},
	}
	want := ""
	for _, row := range rows { // between somebody else's write, and a look at what became of it
		want += "patch app 200, " + row.observed + "get app 200, "
		got := s.Find(t, row.from+` +(\d+) +(\d+) +(\d+) +\S+ \S+ +(gave up|saved) +(kept|lost)`)
		if strings.Join(got, " ") != row.printed {
			t.Errorf("%s: printed %s, want %s", row.from, got, row.printed)
		}
	}
	want += "get app 200" // to wait for
	if got := sequence(s); got != want {
		t.Errorf("observed %s\nwant     %s", got, want)
	}
}

// overwritesUnseen sends a state that is no longer the server's, with its version and without.
func overwritesUnseen(t *testing.T) {
	clientset, ns, _ := ownInformer(t)
	client := clientset.CoreV1().ConfigMaps(ns)
	stale, err := client.Get(t.Context(), "color", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	theirs := stale.DeepCopy()
	theirs.Data["is"] = "somebody else's"
	if _, err := client.Update(t.Context(), theirs, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Update(t.Context(), stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("with its version: %v, want Conflict", err)
	}
	stale.ResourceVersion = ""
	now, err := client.Update(t.Context(), stale, metav1.UpdateOptions{})
	if err != nil || now.Data["is"] != stale.Data["is"] {
		t.Errorf("without: %v, now %v, want %v again", err, now.Data, stale.Data)
	}
}

// conclusionAgrees checks that the last table repeats what was measured, and nothing else.
func conclusionAgrees(t *testing.T, run lessonRun) {
	t.Helper()
	_, end, _ := strings.Cut(run.Output, "What you can now say")
	s := run.Step(t, "remedies")
	for need, remedy := range map[string]string{
		`what others wrote, too +always live`:    "live",
		`to be right in the end +the cache`:      "cache",
		`your write, by its name +MutationCache`: "keep",
		`your write in any read +fresh.Waiter`:   "wait",
		`your write, at once +live if behind`:    "behind",
	} {
		const figures = ` +(\d+) +(\d+) +(\S+) +(\d\S* \S+|-)`
		measured := s.Find(t, regexp.QuoteMeta(remedyNames[remedy])+figures)
		said := regexp.MustCompile(need + figures).FindStringSubmatch(end)
		if said == nil || strings.Join(said[1:], " ") != strings.Join(measured, " ") {
			t.Errorf("%s: measured %q, concluded %q", remedy, measured, said)
		}
	}
	stale := run.Step(t, "race").Int(t, `stale on first read: (\d+) of`)
	if stale > 0 && !strings.Contains(end, fmt.Sprintf("here %d times", stale)) {
		t.Errorf("%d reads were stale, the conclusion says otherwise:\n%s", stale, end)
	}
}

// sequence is what the observer saw of a step, in order.
func sequence(s step) string {
	var all []string
	for _, r := range configMaps(s.Record).Requests {
		all = append(all, strings.Join(strings.Fields(fmt.Sprintf("%s %s %d", r.Verb, r.Name, r.Status)), " "))
	}
	return strings.Join(all, ", ")
}

// changed watches a namespace, past the observer, and tells when n changes of ConfigMaps have come.
func changed(t *testing.T, ns string, n int) <-chan time.Time {
	t.Helper()
	list, err := lab.client.CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Error(err)
	}
	w, err := lab.client.CoreV1().ConfigMaps(ns).Watch(t.Context(),
		metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Error(err)
	}
	at := make(chan time.Time, 1)
	go func() {
		defer close(at)
		defer w.Stop()
		for e := range w.ResultChan() {
			if e.Type == watch.Modified {
				n--
			}
			if n == 0 {
				at <- time.Now()
				return
			}
		}
	}()
	return at
}

// runStep runs one step of lesson 04 with a fault of the network.
func runStep(t *testing.T, name string, match observer.Match, fault observer.Fault) lessonRun {
	t.Helper()
	defer lab.observer.Inject(match, fault)()
	return runLesson(t, "04-fallback", runOptions{args: []string{"-step", name}})
}

// delayBody passes each piece of an answer's body on d after it came.
func delayBody(d time.Duration) observer.Fault {
	return slowly("delay body", func(ctx context.Context, _ bool) { pass(ctx, d) })
}

// delayAnswer passes an answer on d after it began.
func delayAnswer(d time.Duration) observer.Fault {
	return slowly("delay answer", func(ctx context.Context, head bool) {
		if head {
			pass(ctx, d)
		}
	})
}

func slowly(name string, wait func(ctx context.Context, head bool)) observer.Fault {
	return observer.NewFault(name, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&slowWriter{w, func(head bool) { wait(r.Context(), head) }}, r)
		})
	})
}

func pass(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

type slowWriter struct {
	http.ResponseWriter
	wait func(head bool)
}

func (w *slowWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *slowWriter) WriteHeader(status int) {
	w.wait(true)
	w.ResponseWriter.WriteHeader(status)
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.wait(false)
	return w.ResponseWriter.Write(p)
}

func dataOf(t *testing.T, ns, name string) map[string]string {
	t.Helper()
	cm, err := lab.client.CoreV1().ConfigMaps(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Error(err)
		return nil
	}
	return cm.Data
}

func countOf(t *testing.T, ns, selector string) int {
	t.Helper()
	list, err := lab.client.CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Error(err)
		return -1
	}
	return len(list.Items)
}
