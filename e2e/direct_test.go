package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/internal/observer"
)

// The two constructors: N1's wording does not compile, since kubernetes.New takes something else.
var (
	_ func(rest.Interface) *kubernetes.Clientset        = kubernetes.New
	_ func(*rest.Config) (*kubernetes.Clientset, error) = kubernetes.NewForConfig
)

func TestDirect(t *testing.T) {
	var names []string         // that the test itself finds in the lesson's namespace
	var etcd [2]map[string]int // the server's own count before and after the step on etcd
	ns := ""
	namespacesGone(t) // their objects are read while they are deleted, and the server counts that
	run := runLesson(t, "01-direct", runOptions{
		namespace: &ns,
		entering: func(step string) {
			switch step {
			case "list":
				names = namesIn(t, ns)
			case "etcd":
				etcd[0] = etcdRequests(t)
			}
		},
		leaving: func(step string) {
			if step == "etcd" {
				etcd[1] = etcdRequests(t)
			}
		},
	})
	wireAgrees := func(title string) features.Func {
		return assess(func(t *testing.T) {
			s := run.Step(t, title)
			if diff := cmp.Diff([]printedWire{onWire(configMaps(s.Record))}, s.Wires(t)); diff != "" {
				t.Errorf("(-observed +printed)\n%s\n%s", diff, s.Record)
			}
		})
	}

	testenv.Test(t,
		features.New("the technique reads in 2 requests, on 1 connection").
			Assess("which the observer sees as printed", assess(func(t *testing.T) {
				techniqueAgrees(t, run, map[string]int{"list": 1, "get": 1})
			})).
			Assess("and a config or a clientset sends nothing", assess(func(t *testing.T) {
				if s := run.Step(t, "config"); s.Record.Count() != 0 || s.Wires(t)[0].Bytes != "0 B" {
					t.Errorf("want no request:\n%s", s.Record)
				}
			})).Feature(),

		features.New("a clientset comes from a rest config, by NewForConfig").WithLabel("claim", "N1").
			Assess("with it the lesson reads", assess(func(t *testing.T) {
				s := run.Step(t, "list")
				if got := configMaps(s.Record).Verb("list", "").Count(); got != 1 {
					t.Errorf("%d LISTs, want 1\n%s", got, s.Record)
				}
			})).Feature(),

		features.New("List lists ConfigMaps").WithLabel("claim", "N2").
			Assess("all that the namespace has", assess(func(t *testing.T) {
				got := run.Step(t, "list").Lines[0]
				if want := strings.Join(names, ", "); got != want {
					t.Errorf("printed %q, the server has %q", got, want)
				}
			})).
			Assess("in one request, on one connection", wireAgrees("list")).
			Assess("of one list in pages, each page costs a request", wireAgrees("pages")).
			Assess("with resourceVersion 0 the limit is ignored", assess(func(t *testing.T) {
				client := lab.client.CoreV1().ConfigMaps("kube-system")
				all, err := client.List(t.Context(), metav1.ListOptions{})
				if err != nil {
					t.Fatal(err)
				}
				few, err := client.List(t.Context(), metav1.ListOptions{Limit: 1, ResourceVersion: "0"})
				if err != nil {
					t.Fatal(err)
				}
				if len(all.Items) < 2 || len(few.Items) != len(all.Items) || few.Continue != "" {
					t.Errorf("%d of %d items, continue %q", len(few.Items), len(all.Items), few.Continue)
				}
				run.Step(t, "pages").Find(t, `ignores the limit of 2: it sent all \d`)
			})).
			Assess("and filtered by the server it is smaller", assess(func(t *testing.T) {
				s := run.Step(t, "filter")
				lists := configMaps(s.Record).Verb("list", "").Requests
				if len(lists) != 3 {
					t.Fatalf("%d LISTs, want 3\n%s", len(lists), s.Record)
				}
				for i, row := range []string{"everything", "tier=backend", "metadata.name=app"} {
					printed := s.Int(t, regexp.QuoteMeta(row)+` .* (\d+)\n`)
					if int64(printed) != lists[i].Bytes {
						t.Errorf("%s: printed %d bytes, observed %s", row, printed, lists[i])
					}
					if i > 0 && 2*lists[i].Bytes > lists[0].Bytes {
						t.Errorf("%s: not smaller by half: %d of %d bytes", row, lists[i].Bytes, lists[0].Bytes)
					}
				}
			})).Feature(),

		features.New("Get gets one").WithLabel("claim", "N3").
			Assess("by its name", assess(func(t *testing.T) {
				s := run.Step(t, "get")
				if keys := s.Int(t, `database: (\d+) keys`); keys != 2 {
					t.Errorf("%d keys, want 2", keys)
				}
				gets := configMaps(s.Record).Verb("get", "").Requests
				if len(gets) != 2 || gets[0].Name != "database" || gets[0].Status != 200 || gets[1].Status != 404 {
					t.Errorf("want a Get of database with 200 and one with 404:\n%s", s.Record)
				}
			})).
			Assess("NotFound is also the answer for a type that the server does not have", assess(func(t *testing.T) {
				err := lab.client.RESTClient().Get().AbsPath("/apis/example.com/v1/namespaces/default/doors/front").
					Do(t.Context()).Error()
				if !apierrors.IsNotFound(err) {
					t.Errorf("%v, want NotFound", err)
				}
			})).
			Assess("in one request each, on the connection there is", wireAgrees("get")).Feature(),

		features.New("a read is a new request, not a new connection").WithLabel("claim", "N4").
			Assess("20 reads open 0 connections", assess(func(t *testing.T) {
				s := run.Step(t, "again")
				if s.Record.Opened != 0 || configMaps(s.Record).Count() != 20 {
					t.Errorf("%d connections opened for %d reads, want 0 for 20",
						s.Record.Opened, configMaps(s.Record).Count())
				}
				s.Find(t, `No: each was a new request`)
			})).
			Assess("and the lesson says so", wireAgrees("again")).
			Assess("over HTTP/1.1, too", assess(func(t *testing.T) {
				again := runLesson(t, "01-direct", runOptions{
					args: []string{"-step", "again"}, env: []string{"DISABLE_HTTP2=1"}})
				s := again.Step(t, "again")
				if reads := configMaps(s.Record); reads.Count() != 20 || s.Record.Opened != 0 ||
					reads.Connections() != 1 || reads.Requests[0].Proto != "HTTP/1.1" {
					t.Errorf("want 20 reads on the 1 connection that was there, over HTTP/1.1:\n%s", s.Record)
				}
			})).Feature(),

		features.New("a Get reads from etcd, a List does not").WithLabel("claim", "N5").
			Assess("by the server's own count during the step", assess(func(t *testing.T) {
				// 20 each of Get "", Get "0", List "", List "0"; other clients may add a few.
				objects, revisions := etcdDelta(etcd[0], etcd[1], 20)
				if objects != 1 || revisions != 1 {
					t.Errorf("%d reads of objects and %d of the revision for each round of four reads, "+
						"want 1 and 1: before %v, after %v", objects, revisions, etcd[0], etcd[1])
				}
			})).
			Assess("by reads of the test's own", assess(func(t *testing.T) {
				for _, c := range []struct{ verb, rv string }{
					{"Get", ""}, {"Get", "0"}, {"List", ""}, {"List", "0"}} {
					objects, revisions := readAndCount(t, c.verb, c.rv)
					s := run.Step(t, "etcd")
					row := s.Find(t, fmt.Sprintf(`%s +"%s" +(\d+) +(\d+) +(\S.*)`, c.verb, c.rv))
					if fmt.Sprint(objects, revisions) != row[0]+" "+row[1] {
						t.Errorf("%s with resourceVersion %q: the test counts %d and %d, the lesson printed %v",
							c.verb, c.rv, objects, revisions, row)
					}
				}
			})).
			Assess("with the reads that it says", wireAgrees("etcd")).Feature(),

		features.New("API Priority and Fairness sorts the reads").WithLabel("claim", "N6").
			Assess("into the flow schema that is printed", assess(func(t *testing.T) {
				s := run.Step(t, "fairness")
				printed := s.Find(t, `flow schema (\S+), priority level (\S+)`)
				schema, level := flowOf(t, configMaps(s.Record).Requests[0])
				if printed[0] != schema || printed[1] != level {
					t.Errorf("printed %v, the server says %s and %s", printed, schema, level)
				}
				if lab.provider != "existing" && level == "exempt" {
					t.Error("the learner's user is exempt: this cluster does not show what others meet")
				}
			})).Feature(),

		features.New("the client limits its own rate").WithLabel("claim", "N7").
			Assess("20 Gets at the default take far longer than unlimited, all sent alike", assess(func(t *testing.T) {
				s := run.Step(t, "rate-limit")
				gets := configMaps(s.Record).Requests
				if len(gets) != 40 {
					t.Fatalf("%d Gets, want 40\n%s", len(gets), s.Record)
				}
				limited, free := gets[:20], gets[20:]
				// 10 of 20 wait for a token each, of which there are 5 a second. No computer is so fast
				// or so slow that this would take less.
				if d := span(limited); d < 1800*time.Millisecond || d < span(free) {
					t.Errorf("observed %s limited and %s free", d, span(free))
				}
				if printed := printedTime(t, s, `burst 10 .*  (\S+ \S+)\n`); !near(span(limited), printed) {
					t.Errorf("observed %s, printed %s", span(limited), printed)
				}
				// While the client waits, no request is under way: it is not the server that is slow.
				if waited := printedTime(t, s, `held the first back for (\S+ \S+), `); !near(waited, idle(limited)) {
					t.Errorf("printed a wait of %s, observed none under way for %s", waited, idle(limited))
				}
				s.Find(t, `the second for 0 s`)
			})).
			Assess("but not that of watches", assess(watchesAreNotThrottled)).Feature(),

		features.New("a refused read is retried at the server's interval, not exponentially").WithLabel("claim", "N8").
			Assess("as often as printed", assess(func(t *testing.T) {
				s := run.Step(t, "refused")
				for row, want := range map[string]int{
					`429 Retry-After: 1, twice, then 200`: 3, `429 without Retry-After`: 1, `500 without Retry-After`: 1} {
					if got := s.Int(t, row+` +(\d+) `); got != want {
						t.Errorf("%s: %d requests printed, want %d", row, got, want)
					}
				}
				if got := configMaps(s.Record).Count(); got != 5 {
					t.Errorf("%d requests observed, want 3 + 1 + 1\n%s", got, s.Record)
				}
			})).
			Assess("after the same wait each time", assess(func(t *testing.T) {
				gets := configMaps(run.Step(t, "refused").Record).Requests
				first, second := gets[1].Start.Sub(gets[0].Start), gets[2].Start.Sub(gets[1].Start)
				if second > first+first/2 || first > second+second/2 {
					t.Errorf("waited %s, then %s: an exponential backoff would double", first, second)
				}
			})).
			Assess("which is the one that was asked for", assess(func(t *testing.T) {
				s := run.Step(t, "refused")
				gets := configMaps(s.Record).Requests
				if first := gets[1].Start.Sub(gets[0].Start); first < 900*time.Millisecond {
					t.Errorf("waited %s, was asked for 1 s", first)
				}
				printed := printedTime(t, s, `twice, then 200 +3 +(\S+ \S+) `)
				if both := gets[2].Start.Sub(gets[0].Start); !near(both, printed) {
					t.Errorf("waited %s in all, printed %s", both, printed)
				}
			})).
			Assess("ten times at most", assess(refusedForEver)).
			Assess("with both environment variables exponentially", assess(func(t *testing.T) {
				again := runLesson(t, "01-direct", runOptions{args: []string{"-step", "refused"},
					env: []string{"KUBE_CLIENT_BACKOFF_BASE=1", "KUBE_CLIENT_BACKOFF_DURATION=60"}})
				gets := configMaps(again.Step(t, "refused").Record).Requests
				first, second := gets[1].Start.Sub(gets[0].Start), gets[2].Start.Sub(gets[1].Start)
				if second < first+first/2 {
					t.Errorf("waited %s, then %s: an exponential backoff doubles", first, second)
				}
			})).
			Assess("and by the observer's refusal as by the lesson's", assess(refusedByTheObserver)).Feature(),

		features.New("lesson 01 prints what is recorded").
			Assess("but for names, times and sizes", assess(func(t *testing.T) {
				checkTranscript(t, run, mask{regexp.MustCompile(`(?m) +\d+$`), " BYTES"},
					mask{regexp.MustCompile(`clientcmd finds here: .*`), "clientcmd finds here: ..."})
			})).
			Assess("and leaves no namespace", assess(func(t *testing.T) { namespaceGone(t, run.Namespace) })).
			Feature(),
	)
}

// watchesAreNotThrottled opens more watches at once than the limit of 5 a second would let pass.
func watchesAreNotThrottled(t *testing.T) {
	config := rest.CopyConfig(lab.config)
	config.QPS, config.Burst = 1, 1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	elapsed := func(do func() error) time.Duration {
		start := time.Now()
		for range 4 {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(start)
	}
	watches := elapsed(func() error {
		w, err := client.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{})
		if err == nil {
			w.Stop()
		}
		return err
	})
	gets := elapsed(func() error {
		_, err := client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
		return err
	})
	if 2*watches > gets {
		t.Errorf("4 watches took %s, 4 lists %s at 1 a second", watches, gets)
	}
}

// refusedByTheObserver repeats the lesson's claim with a refusal that comes over the wire.
func refusedByTheObserver(t *testing.T) {
	for _, c := range []struct {
		fault observer.Fault
		want  int
	}{
		{observer.TooManyRequests(time.Second), 2},
		{observer.TooManyRequests(0), 1},
		{observer.ServerError(), 1},
	} {
		remove := lab.observer.Inject(observer.Match{Verb: "get", Resource: "configmaps", Name: "app", From: 1, To: 1}, c.fault)
		client := throughObserver(t)
		mark := lab.observer.Mark()
		_, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), "app", metav1.GetOptions{})
		remove()
		if err == nil {
			t.Errorf("%s: want an error, if only NotFound", c.fault.Name())
		}
		if got := lab.observer.Since(mark).Count(); got != c.want {
			t.Errorf("%s: %d requests (%v), want %d", c.fault.Name(), got, err, c.want)
		}
	}
}

// refusedForEver counts the requests of one read that is refused each time, and may be repeated at
// once.
func refusedForEver(t *testing.T) {
	status := apierrors.NewTooManyRequestsError("injected by the test").ErrStatus
	const name = "refused-for-ever"
	defer lab.observer.Inject(observer.Match{Verb: "get", Resource: "configmaps", Name: name, To: 12},
		observer.Answer("429, retry after 0s", http.Header{"Retry-After": {"0"}}, status))()
	client := throughObserver(t)
	mark := lab.observer.Mark()
	_, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), name, metav1.GetOptions{})
	if got := lab.observer.Since(mark).Count(); got != 11 || !apierrors.IsTooManyRequests(err) {
		t.Errorf("%d requests, %v; want 1 and 10 more, then TooManyRequests", got, err)
	}
}

// readAndCount makes 20 reads and returns what the server asked etcd for, for each of them.
func readAndCount(t *testing.T, verb, rv string) (objects, revisions int) {
	t.Helper()
	const n = 20
	client := lab.client.CoreV1().ConfigMaps("kube-system")
	before := etcdRequests(t)
	for range n {
		var err error
		if verb == "Get" {
			_, err = client.Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{ResourceVersion: rv})
		} else {
			_, err = client.List(t.Context(), metav1.ListOptions{ResourceVersion: rv})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return etcdDelta(before, etcdRequests(t), n)
}

// etcdRequests reads how often the server asked etcd about ConfigMaps, by operation, and by "" how
// often it answered from its watch cache after asking etcd for the revision alone.
func etcdRequests(t *testing.T) map[string]int {
	t.Helper()
	raw, err := lab.client.CoreV1().RESTClient().Get().AbsPath("/metrics").Do(t.Context()).Raw()
	if err != nil {
		t.Fatalf("read /metrics: %v", err)
	}
	metric := regexp.MustCompile(`^(?:etcd_requests_total\{group="",operation="(\w+)",|` +
		`apiserver_watch_cache_consistent_read_total\{fallback="false",group="",)resource="configmaps".*\} (\d+)`)
	counts := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := metric.FindStringSubmatch(lines.Text()); m != nil {
			counts[m[1]], _ = strconv.Atoi(m[2])
		}
	}
	if len(counts) == 0 {
		t.Fatal("/metrics has no etcd_requests_total for configmaps")
	}
	return counts
}

// etcdDelta is what was asked of etcd between two readings, for each of n reads. Before Kubernetes
// 1.37 the question for the revision is counted among the gets.
func etcdDelta(before, after map[string]int, n int) (objects, revisions int) {
	var o, r int
	for op, count := range after {
		switch d := count - before[op]; op {
		case "getCurrentResourceVersion":
			r += d
		case "get", "list", "listStream", "listWithCount", "listOnlyKeys":
			o += d
		}
	}
	if _, apart := after["getCurrentResourceVersion"]; !apart {
		r = after[""] - before[""]
		o -= r
	}
	return int(math.Round(float64(o) / float64(n))), int(math.Round(float64(r) / float64(n)))
}

// flowOf looks up the names of the flow schema and the priority level of an answer.
func flowOf(t *testing.T, r observer.Request) (schema, level string) {
	t.Helper()
	schemas, err := lab.client.FlowcontrolV1().FlowSchemas().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range schemas.Items {
		if string(s.UID) == r.Header.Get("X-Kubernetes-PF-FlowSchema-UID") {
			schema = s.Name
		}
	}
	levels, err := lab.client.FlowcontrolV1().PriorityLevelConfigurations().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range levels.Items {
		if string(l.UID) == r.Header.Get("X-Kubernetes-PF-PriorityLevel-UID") {
			level = l.Name
		}
	}
	return schema, level
}

// span is the time from the first request to the last one's beginning.
func span(requests []observer.Request) time.Duration {
	return requests[len(requests)-1].Start.Sub(requests[0].Start)
}

// idle is the time between the end of a request and the beginning of the next, summed up.
func idle(requests []observer.Request) (d time.Duration) {
	for i, r := range requests[1:] {
		d += max(0, r.Start.Sub(requests[i].Start.Add(requests[i].Duration)))
	}
	return d
}
