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

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/internal/observer"
)

// What N12 and N13 leave out: the factory is made from a clientset, and the fields of a handler are
// AddFunc, UpdateFunc and DeleteFunc. OnAdd, OnUpdate and OnDelete are methods.
var (
	_ func(kubernetes.Interface, time.Duration, ...informers.SharedInformerOption,
	) informers.SharedInformerFactory = informers.NewSharedInformerFactoryWithOptions
	_ = cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) {}, UpdateFunc: func(_, _ any) {}, DeleteFunc: func(any) {}}
)

// withCopy are the steps that work with the copy that step fill makes, before step stop ends it.
var withCopy = []string{"fill", "handlers", "reads", "share", "edit"}

// seen is what came by a watch.
type seen struct {
	events map[watch.EventType]int
	bytes  int64
}

var informerMasks = []mask{{regexp.MustCompile(`(?m)\d+ → 0$`), "GOROUTINES → 0"}}

func TestInformer(t *testing.T) {
	var ns string
	var mark observer.Mark                   // where step fill begins
	items := map[string][]corev1.ConfigMap{} // on the server before each step
	before, after := map[string]seen{}, map[string]seen{}
	open := map[string]int{} // watches that the observer has open after each step
	copied := func() seen {  // what came so far by the watch of step fill
		watches := configMaps(lab.observer.Since(mark)).Verb("watch", "").Requests
		if len(watches) == 0 {
			return seen{}
		}
		return seen{watches[0].Events, watches[0].Bytes}
	}
	run := runLesson(t, "03-informer", runOptions{
		namespace: &ns,
		entering: func(step string) {
			if step == "fill" {
				mark = lab.observer.Mark()
			}
			items[step], before[step] = configMapsOf(t, ns), copied()
		},
		leaving: func(step string) {
			want := 0
			if slices.Contains(withCopy, step) {
				want = 1 // that of step fill; all others end with their step
			}
			open[step], after[step] = watchesLeft(t, mark, want), copied()
		},
	})
	// told is what came by the copy's watch in a step. Bookmarks come when the server thinks fit.
	told := func(step string) map[watch.EventType]int {
		events := maps.Clone(after[step].events)
		for e, n := range before[step].events {
			if events[e] -= n; events[e] == 0 {
				delete(events, e)
			}
		}
		delete(events, watch.Bookmark)
		return events
	}
	// requestsAgree compares what a step printed with what the observer saw of it, but for what the
	// step says it leaves out: requests, the bytes of their answers, and those of the copy's watch.
	requestsAgree := func(name string, leftOut map[string]int) features.Func {
		return assess(func(t *testing.T) {
			s := run.Step(t, name)
			want := onWire(configMaps(s.Record)).withEvents(after[name].bytes - before[name].bytes)
			for verb, n := range leftOut {
				if want.Requests[verb] -= n; want.Requests[verb] == 0 {
					delete(want.Requests, verb)
				}
			}
			wires := s.Wires(t)
			if len(leftOut) > 0 {
				for i := range wires {
					wires[i].Bytes = want.Bytes
				}
			}
			if diff := cmp.Diff([]printedWire{want}, wires); diff != "" {
				t.Errorf("(-observed +printed)\n%s\n%s", diff, s.Record)
			}
		})
	}

	testenv.Test(t,
		features.New("a factory made from the clientset makes informers").WithLabel("claim", "N12").
			Assess("which sync by one streaming WATCH of the namespace", assess(func(t *testing.T) {
				s := run.Step(t, "fill")
				requests := configMaps(s.Record).Requests
				if len(requests) != 1 || !streams(requests[0]) || requests[0].Namespace != ns {
					t.Fatalf("want one WATCH of %s that sends what there is:\n%s", ns, s.Record)
				}
				want := map[watch.EventType]int{watch.Added: len(items["fill"]), watch.Bookmark: 1}
				if diff := cmp.Diff(want, after["fill"].events); diff != "" {
					t.Errorf("events of the sync (-want +observed)\n%s", diff)
				}
			})).
			Assess("of the size that is printed", assess(func(t *testing.T) {
				s := run.Step(t, "fill")
				if diff := cmp.Diff([]printedWire{onWire(configMaps(s.Record))}, s.Wires(t)); diff != "" {
					t.Errorf("(-observed +printed)\n%s\n%s", diff, s.Record)
				}
			})).
			Assess("and have nothing before that", assess(func(t *testing.T) {
				s := run.Step(t, "fill")
				if n := s.Int(t, `before the sync +List: (\d+) ConfigMaps, and no error`); n != 0 {
					t.Errorf("%d ConfigMaps before anything was asked for", n)
				}
				s.Find(t, `Get app: configmap "app" not found`)
			})).
			Assess("and are started if they were asked for by then", assess(startsWhatWasAskedFor)).
			Assess("by LIST and WATCH where streaming is turned off", assess(func(t *testing.T) {
				old := runLesson(t, "03-informer", runOptions{
					args: []string{"-step", "handlers"}, env: []string{"KUBE_FEATURE_WatchListClient=false"}})
				got := configMaps(old.Step(t, "fill").Record).Requests
				if len(got) == 0 || got[0].Verb != "list" || got[0].Query.Get("resourceVersion") != "0" {
					t.Errorf(`want a LIST of resourceVersion "0" first, observed %v`, got)
				}
			})).Feature(),

		features.New("the lister's List lists").WithLabel("claim", "N16").
			Assess("what the server has, without a LIST", assess(func(t *testing.T) {
				s := run.Step(t, "fill")
				got, want := s.Find(t, `after the sync +List: (.*)`)[0], strings.Join(namesOf(ours(items["fill"])), ", ")
				if got != want {
					t.Errorf("printed %q, the server has %q", got, want)
				}
				if lists := configMaps(s.Record).Verb("list", ""); lists.Count() != 0 {
					t.Errorf("observed\n%s", lists)
				}
			})).Feature(),

		features.New("the lister's Get gets one").WithLabel("claim", "N17").
			Assess("as it is on the server, without a GET", assess(func(t *testing.T) {
				s := run.Step(t, "fill")
				app := named(t, items["fill"], "app")
				got := s.Find(t, `Get app: color (\S+), resourceVersion (\d+)`)
				if want := []string{app.Data["color"], app.ResourceVersion}; !slices.Equal(got, want) {
					t.Errorf("printed %v, the server has %v", got, want)
				}
				if gets := configMaps(s.Record).Verb("get", ""); gets.Count() != 0 {
					t.Errorf("observed\n%s", gets)
				}
			})).Feature(),

		features.New("a handler is told of changes").WithLabel("claim", "N13").
			Assess("first of what there is", assess(func(t *testing.T) {
				s := run.Step(t, "handlers")
				if got := s.Int(t, `told of (\d+) ConfigMaps`); got != len(ours(items["handlers"])) {
					t.Errorf("told of %d, the server had %d", got, len(ours(items["handlers"])))
				}
			})).
			Assess("then of each event that came by the watch, once", assess(func(t *testing.T) {
				want := map[watch.EventType]int{watch.Added: 1, watch.Modified: 1, watch.Deleted: 1}
				if diff := cmp.Diff(want, told("handlers")); diff != "" {
					t.Errorf("(-want +observed)\n%s", diff)
				}
				s := run.Step(t, "handlers")
				s.Find(t, `after a Create +added color: blue\n`+
					`after an Update +updated .*\nafter a Delete +deleted color: red`)
			})).Feature(),

		features.New("an update comes with old and new, at no request").WithLabel("claim", "N20").
			Assess("both as they were written", assess(func(t *testing.T) {
				run.Step(t, "handlers").Find(t, `updated color: blue → red`)
			})).
			Assess("with no read on the wire", assess(func(t *testing.T) {
				s := run.Step(t, "handlers")
				want := map[string]int{"create": 1, "update": 1, "delete": 1}
				if diff := cmp.Diff(want, onWire(configMaps(s.Record)).Requests); diff != "" {
					t.Errorf("(-want +observed)\n%s", diff)
				}
			})).
			Assess("as is printed", requestsAgree("handlers", nil)).
			Assess("old is what the cache had, also after a missed stretch", assess(oldAfterAMiss)).Feature(),

		features.New("the old object costs nothing").WithLabel("claim", "N21").
			Assess("it is the one that was in the cache, in an informer of the test's own",
				assess(oldIsFromTheCache)).
			Assess("and the lesson found the same", assess(func(t *testing.T) {
				run.Step(t, "handlers").Find(t, `very object\nthat was in the cache, not a copy`)
			})).Feature(),

		features.New("reads of a lister come from the cache").WithLabel("claim", "N18").
			Assess("30,000 of them send nothing, 100 direct ones 100 requests", assess(func(t *testing.T) {
				s := run.Step(t, "reads")
				if diff := cmp.Diff(map[string]int{"get": 100}, onWire(configMaps(s.Record)).Requests); diff != "" {
					t.Errorf("(-want +observed)\n%s", diff)
				}
				s.Find(t, `A read from the cache sends nothing, and is far faster`)
			})).
			Assess("as is printed, of what the server has", assess(func(t *testing.T) {
				s := run.Step(t, "reads")
				for row, want := range map[string][]int{
					"lister: Get by name":    {1, 0},
					"lister: List by label":  {count(items["reads"], isBackend), 0},
					"indexer: ByTypedIndex":  {count(items["reads"], isAnns), 0},
					"clientset: Get by name": {1, configMaps(s.Record).Count()},
				} {
					got := s.Find(t, row+` +(\d+) .* (\d+)(?:\n|$)`)
					if fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("%s: finds %s by %s requests printed, want %v", row, got[0], got[1], want)
					}
				}
			})).
			Assess("and are far quicker", assess(func(t *testing.T) {
				s := run.Step(t, "reads")
				cached := printedTime(t, s, `lister: Get by name .* (\S+ \S+) +0\n`)
				direct := printedTime(t, s, `clientset: Get by name .* (\S+ \S+) +100\n`)
				gets := configMaps(s.Record).Requests
				observed := gets[len(gets)-1].Start.Sub(gets[0].Start) / time.Duration(len(gets)-1)
				if 10*cached > direct || !near(direct, observed) {
					t.Errorf("printed %s cached and %s direct; observed %s a Get", cached, direct, observed)
				}
			})).Feature(),

		features.New("one watch keeps the cache up to date").WithLabel("claim", "N19").
			Assess("through all steps that work with it", assess(func(t *testing.T) {
				watches := 0
				for _, name := range withCopy {
					watches += configMaps(run.Step(t, name).Record).Verb("watch", "").Count()
				}
				for _, name := range withCopy {
					if watches != 1 || open[name] != 1 {
						t.Errorf("%d watches begun, %d open after step %s; want 1 and 1", watches, open[name], name)
					}
				}
			})).
			Assess("an update comes by it into the cache", assess(func(t *testing.T) {
				got := run.Step(t, "edit").Find(t, `in the cache (\S+), in your hand still (\S+)`)
				after, before := named(t, items["stop"], "cart"), named(t, items["edit"], "cart")
				want := []string{after.Data["color"], before.Data["color"]}
				if !slices.Equal(got, want) || want[0] == want[1] {
					t.Errorf("printed %v, the server had %v after and before", got, want)
				}
				if diff := cmp.Diff(map[watch.EventType]int{watch.Modified: 1}, told("edit")); diff != "" {
					t.Errorf("(-want +observed)\n%s", diff)
				}
			})).
			Assess("at the requests that are printed", requestsAgree("edit", nil)).Feature(),

		features.New("all handlers and listers of a factory share it").WithLabel("claim", "N22").
			Assess("late ones are told from the cache, with no request", assess(func(t *testing.T) {
				n := len(ours(items["share"]))
				run.Step(t, "share").Find(t, fmt.Sprintf(
					`5 handlers, added late, told of %d, %d, %d, %d and %d ConfigMaps`, n, n, n, n, n))
				run.Step(t, "share").Find(t, `3 listers, each in 2 goroutines: 3000 reads`)
			})).
			Assess("one event on the wire tells all five", assess(func(t *testing.T) {
				if diff := cmp.Diff(map[watch.EventType]int{watch.Modified: 1}, told("share")); diff != "" {
					t.Errorf("(-want +observed)\n%s", diff)
				}
				run.Step(t, "share").Find(t, `1 change on the server: 5 handlers told`)
				run.Step(t, "share").Find(t, `One watch is open, as before`)
				if open["share"] != 1 {
					t.Errorf("%d watches are open", open["share"])
				}
			})).
			Assess("at the requests that are printed", requestsAgree("share", nil)).
			Assess("and of the same objects", assess(func(t *testing.T) {
				run.Step(t, "edit").Find(t, `two listers give the same object: true`)
			})).Feature(),

		features.New("Run runs an informer, and blocks").WithLabel("claim", "N14").
			Assess("with a watch of its own", assess(func(t *testing.T) {
				s := run.Step(t, "stop")
				if got := configMaps(s.Record).Requests; len(got) != 1 || got[0].Verb != "watch" {
					t.Errorf("want one WATCH:\n%s", s.Record)
				}
				s.Find(t, `inf.Run\(stopCh\) +1 → 0 +[1-9]\d* → 0`)
			})).
			Assess("until its channel is closed, in the test's own too", assess(runBlocks)).Feature(),

		features.New("stopped, it leaves nothing").WithLabel("claim", "N15").
			Assess("both watches are closed on the wire", assess(func(t *testing.T) {
				if open["edit"] != 1 || open["stop"] != 0 {
					t.Errorf("%d watches open before, %d after; want 1 and 0", open["edit"], open["stop"])
				}
				s := run.Step(t, "stop")
				s.Find(t, `factory.Shutdown\(\) +1 → 0 +[1-9]\d* → 0`)
				s.Find(t, `No request and no goroutine is left`)
			})).
			Assess("no goroutine is left by the same calls of the test's own", assess(shutdownLeavesNothing)).
			Assess("the cache is, as it was", assess(func(t *testing.T) {
				if got := run.Step(t, "stop").Int(t, `still answers: (\d+)`); got != len(ours(items["stop"])) {
					t.Errorf("%d ConfigMaps printed, the server had %d", got, len(ours(items["stop"])))
				}
			})).Feature(),

		features.New("a sync was LIST and WATCH, and is one WATCH").
			Assess("by what each informer sent", assess(func(t *testing.T) {
				s := run.Step(t, "sync")
				reads := configMaps(s.Record).Where(func(r observer.Request) bool { return r.Verb != "create" }).Requests
				if len(reads) != 3 || !streams(reads[0]) || reads[1].Verb != "list" ||
					reads[2].Verb != "watch" || streams(reads[2]) {
					t.Fatalf("want a streaming WATCH, then LIST and WATCH:\n%s", s.Record)
				}
				for row, want := range map[string]string{`true, the default`: "0 1", `false, as it was`: "1 1"} {
					if got := strings.Join(s.Find(t, row+` +(\d+) +(\d+) `), " "); got != want {
						t.Errorf("WatchListClient=%s: printed %s, observed %s", row, got, want)
					}
				}
				sizeAgrees(t, s, `true, the default .* (\S+ \S+)\n`, reads[0])
				sizeAgrees(t, s, `false, as it was .* (\S+ \S+)\n`, reads[1], reads[2])
			})).Feature(),

		features.New("TweakListOptions narrows the watch").WithLabel("claim", "N23").
			Assess("to what the server selects", assess(func(t *testing.T) {
				s := run.Step(t, "narrow")
				watches := configMaps(s.Record).Verb("watch", "").Requests
				if len(watches) != 2 || watches[0].Query.Get("labelSelector") != "" ||
					watches[1].Query.Get("labelSelector") != "tier=backend" {
					t.Fatalf("want two WATCHes, the second with a selector:\n%s", s.Record)
				}
				backend := count(items["narrow"], isBackend)
				for i, row := range []struct {
					selector  string
					all, ours int // on the server
				}{
					{"none", len(items["narrow"]), len(ours(items["narrow"]))},
					{"tier=backend", backend, backend},
				} {
					if got := watches[i].Events[watch.Added]; got != row.all {
						t.Errorf("%d objects came, the server has %d: %s", got, row.all, watches[i])
					}
					if got := s.Int(t, row.selector+` +(\d+) `); got != row.ours {
						t.Errorf("%s: printed %d objects, the server has %d", row.selector, got, row.ours)
					}
					sizeAgrees(t, s, row.selector+` +\d+ +(\S+ \S+)\n`, watches[i])
				}
				all := printedSize(t, s, `none +\d+ +(\S+ \S+)\n`)
				some := printedSize(t, s, `tier=backend +\d+ +(\S+ \S+)\n`)
				if 2*some > all {
					t.Errorf("not even half the bytes are saved: %.0f of %.0f", some, all)
				}
			})).
			Assess("and tells of a deletion when an object stops matching", assess(deletedBySelector)).
			Assess("so that its lister does not know the rest", assess(func(t *testing.T) {
				_ = named(t, items["resync"], "app")
				run.Step(t, "narrow").Find(t, `is on the server; the narrow lister says not found`)
			})).Feature(),

		features.New("a resync asks the server for nothing").
			Assess("it repeats what is in the cache", assess(func(t *testing.T) {
				s := run.Step(t, "resync")
				got := configMaps(s.Record).Requests
				if len(got) != 1 || got[0].Verb != "watch" || got[0].Events[watch.Modified] != 0 {
					t.Errorf("want the WATCH of the sync and no Modified event:\n%s", s.Record)
				}
				n := fmt.Sprint(len(ours(items["resync"])))
				printed := s.Find(t, `(\d+) objects .*: (\d+) updates, (\d+) of`)
				if !slices.Equal(printed, []string{n, n, n}) {
					t.Errorf("printed %v, the server has %s objects", printed, n)
				}
			})).
			Assess("as is printed", requestsAgree("resync", map[string]int{"watch": 1})).Feature(),

		features.New("a handler survives a deletion that was missed").WithLabel("claim", "N13").
			Assess("told of the last state that it knew, after beginning anew", assess(func(t *testing.T) {
				s := run.Step(t, "missed")
				watches := configMaps(s.Record).Verb("watch", "").Requests
				if len(watches) != 3 || !streams(watches[0]) || streams(watches[1]) || !streams(watches[2]) {
					t.Fatalf("want a sync, a resumed WATCH (whose answer is replaced), a sync:\n%s", s.Record)
				}
				for _, w := range []observer.Request{watches[0], watches[2]} {
					if w.Events[watch.Deleted]+w.Events[watch.Modified] != 0 {
						t.Errorf("this watch told of what was to be missed: %s", w)
					}
				}
				s.Find(t, `deleted doomed, last known as blue\n`)
				s.Find(t, `gets a cache.DeletedFinalStateUnknown, not a`)
				if count(items["second"], func(cm corev1.ConfigMap) bool { return cm.Name == "doomed" }) != 0 {
					t.Error("the server still has doomed")
				}
			})).
			Assess("and of one update, where an object was replaced under its name", assess(func(t *testing.T) {
				s := run.Step(t, "missed")
				s.Find(t, `updated reborn: blue → green; same UID: false`)
				n := len(ours(items["missed"])) // what was there before the step, and did not change
				if got := s.Int(t, `(\d+) more updates, without a change`); got != n {
					t.Errorf("printed %d updates without a change, want one for each of %d objects", got, n)
				}
			})).
			Assess("at the requests that are printed", requestsAgree("missed",
				map[string]int{"watch": 1, "create": 2})).Feature(),

		features.New("one factory serves all that ask it").WithLabel("claim", "N28").
			Assess("with one cache, and another factory with another", assess(oneFactoryOneCache)).
			Assess("where a second costs its memory again", assess(func(t *testing.T) {
				s := run.Step(t, "second")
				first := printedSize(t, s, `first .* (\S+ \S+)\n`)
				second := printedSize(t, s, `second .* (\S+ \S+)\n`)
				// 250 objects of 4 kB are 1 MB at least.
				if first < 1e6 || second < 1e6 {
					t.Errorf("printed %.0f and %.0f bytes, want 1 MB and more each", first, second)
				}
			})).Feature(),

		features.New("each factory has its own watch and cache, but no connection").WithLabel("claim", "N29").
			Assess("two WATCHes on one connection", assess(func(t *testing.T) {
				s := run.Step(t, "second")
				watches := configMaps(s.Record).Verb("watch", "")
				if watches.Count() != 2 || watches.Connections() != 1 || s.Record.Opened != 0 {
					t.Errorf("want 2 WATCHes on 1 connection that was there:\n%s", watches)
				}
				others := len(items["second"]) - len(ours(items["second"]))
				for i, row := range []string{"first", "second"} {
					got := strings.Join(s.Find(t, row+` +(\d+) +(\d+) +(\d+) `), " ")
					came := watches.Requests[i].Events[watch.Added]
					if want := fmt.Sprintf("1 0 %d", came-others); got != want {
						t.Errorf("%s: printed %s, observed %s", row, got, want)
					}
				}
				s.Find(t, `over HTTP/2, one connection carries both watches`)
			})).
			Assess("on two over HTTP/1.1", assess(func(t *testing.T) {
				again := runLesson(t, "03-informer", runOptions{
					args: []string{"-step", "second"}, env: []string{"DISABLE_HTTP2=1"}})
				s := again.Step(t, "second")
				if got := configMaps(s.Record).Verb("watch", "").Connections(); got != 2 {
					t.Errorf("2 WATCHes on %d connections, want 2", got)
				}
				s.Find(t, `Over HTTP/1.1, each watch keeps a connection to itself`)
			})).Feature(),

		features.New("the technique of lesson 03 is one WATCH").
			Assess("and tells its handler of all that came by it", assess(func(t *testing.T) {
				watches := configMaps(run.Setup).Verb("watch", "").Requests
				if len(watches) != 1 || !streams(watches[0]) {
					t.Fatalf("want one WATCH that sends what there is:\n%s", run.Setup)
				}
				want := fmt.Sprintf("app is blue; the handler was told of %d ConfigMaps",
					watches[0].Events[watch.Added])
				if !strings.Contains(run.Output, want) {
					t.Errorf("does not print %q:\n%s", want, run.Output)
				}
			})).Feature(),

		features.New("lesson 03 prints what is recorded").
			Assess("but for names, times and sizes", assess(func(t *testing.T) {
				checkTranscript(t, run, informerMasks...)
			})).
			Assess("and leaves no namespace", assess(func(t *testing.T) { namespaceGoes(t, run.Namespace) })).
			Feature(),
	)
}

// TestInformerBesideOthers runs lesson 03 while somebody else makes ConfigMaps in its namespace all
// the time, as a service mesh may do once: the lesson says the same.
func TestInformerBesideOthers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	var ns string
	run := runLesson(t, "03-informer", runOptions{
		namespace: &ns,
		entering: func(step string) {
			switch step {
			case "fill":
				others.Go(func() { addConfigMaps(ctx, t, ns) })
			case "end":
				cancel()
			}
		},
	})
	compareTranscript(t, run, append(informerMasks,
		mask{regexp.MustCompile(`and \d+ that the cluster adds`), "and N that the cluster adds"})...)
}

// addConfigMaps makes fifty ConfigMaps a second, until ctx is over.
func addConfigMaps(ctx context.Context, t *testing.T, ns string) {
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for i := 0; ; i++ {
		_, err := lab.client.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("mesh-%d", i)}}, metav1.CreateOptions{})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			t.Errorf("create ConfigMap mesh-%d: %v", i, err)
			return
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
	}
}
