package e2e

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/internal/observer"
)

// What lesson 05 makes: so many ConfigMaps, with so much text.
const (
	bulkObjects = 500
	bulkText    = 2000 // bytes
)

// TestMemory runs lesson 05 without the mutation detector: that one keeps a copy of each object, so
// the lesson would measure both.
func TestMemory(t *testing.T) {
	ns := ""
	run := runLesson(t, "05-memory", runOptions{
		namespace: &ns,
		env:       []string{"KUBE_CACHE_MUTATION_DETECTOR=false"},
		leaving: func(step string) {
			if step == "custom" {
				if got := len(definitions(t, ns)); got != 1 {
					t.Errorf("%d definitions of widgets while the lesson runs, want 1", got)
				}
			}
		},
	})
	events := func(t *testing.T, step string) (added []int) {
		t.Helper()
		for _, w := range configMaps(run.Step(t, step).Record).Verb("watch", "").Requests {
			added = append(added, w.Events["ADDED"])
		}
		return added
	}

	testenv.Test(t,
		features.New("a selector: what does not match is neither sent nor kept").
			WithLabel("claim", "B1").
			Assess("the whole copy holds them all", assess(func(t *testing.T) {
				all := costOf(t, run.Step(t, "everything"), "everything")
				if all.objects != bulkObjects || all.each <= bulkText {
					t.Errorf("%+v", all)
				}
			})).
			Assess("one in five is sent, and kept", assess(func(t *testing.T) {
				some := costOf(t, run.Step(t, "selector"), "tier=backend")
				// The technique's own ConfigMap of tier backend is the one more.
				if added := events(t, "selector"); some.objects != bulkObjects/5 ||
					len(added) != 2 || added[0] != bulkObjects/5+1 || added[1] != 1 {
					t.Errorf("%d objects kept, %d sent", some.objects, added)
				}
			})).
			Assess("and the bytes are those that the observer saw", assess(func(t *testing.T) {
				for _, c := range []struct{ step, row string }{
					{"everything", "everything"}, {"selector", "tier=backend"},
					{"metadata", "metadata"}, {"untyped", "untyped"},
				} {
					s := run.Step(t, c.step)
					seen := configMaps(s.Record).Verb("watch", "").Requests[0].Bytes
					if printed := costOf(t, s, c.row).sent; !alike(printed, seen) {
						t.Errorf("%s: printed %d bytes, observed %d", c.row, printed, seen)
					}
				}
			})).Feature(),

		features.New("a transform: all is sent, a part is kept").WithLabel("claim", "B2").
			Assess("as much comes over the wire", assess(func(t *testing.T) {
				all := costOf(t, run.Step(t, "everything"), "everything")
				less := costOf(t, run.Step(t, "transform"), "without text, too")
				if !alike(all.sent, less.sent) {
					t.Errorf("%d and %d bytes came", all.sent, less.sent)
				}
			})).
			Assess("and less stays", assess(func(t *testing.T) {
				all := costOf(t, run.Step(t, "everything"), "everything")
				less := costOf(t, run.Step(t, "transform"), "without text, too")
				if all.each-less.each < bulkText {
					t.Errorf("%d bytes an object, and %d with the transform", all.each, less.each)
				}
			})).Feature(),

		features.New("metadata alone: the data is neither sent nor kept").WithLabel("claim", "B3").
			Assess("the lesson asks for that", assess(func(t *testing.T) {
				watches := run.Step(t, "metadata").Record.Verb("watch", "configmaps").Requests
				if len(watches) != 1 || !strings.Contains(watches[0].Accept, "PartialObjectMetadata") {
					t.Errorf("%v", watches)
				}
			})).
			Assess("all objects are there, without their text", assess(func(t *testing.T) {
				c := costOf(t, run.Step(t, "metadata"), "metadata")
				if c.objects != bulkObjects || c.sent > bulkObjects*bulkText || c.each > bulkText {
					t.Errorf("%+v", c)
				}
			})).Feature(),

		features.New("untyped objects take more memory").WithLabel("claim", "B4").
			Assess("than typed ones", assess(func(t *testing.T) {
				typed := costOf(t, run.Step(t, "everything"), "everything")
				untyped := costOf(t, run.Step(t, "untyped"), "untyped")
				if untyped.objects != bulkObjects || untyped.each < typed.each*5/4 {
					t.Errorf("%+v typed, %+v untyped", typed, untyped)
				}
				run.Step(t, "untyped").Find(t, `times the memory as maps`)
			})).
			Assess("and come as JSON", assess(func(t *testing.T) {
				untyped := run.Step(t, "untyped").Record.Verb("watch", "configmaps").Requests[0]
				if kind := untyped.Header.Get("Content-Type"); !strings.Contains(kind, "json") {
					t.Errorf("it came as %s", kind)
				}
			})).Feature(),

		features.New("an index finds without a scan and without a request").WithLabel("claim", "B5").
			Assess("the same objects, faster", assess(func(t *testing.T) {
				s := run.Step(t, "index")
				for _, way := range []string{"look at all", "ByTypedIndex"} {
					s.Find(t, way+` +5 .* 0(?:\n|$)`)
				}
				s.Find(t, `An index is \d+ times as fast`)
				if record := configMaps(s.Record); record.Count() != 1 {
					t.Errorf("want one WATCH:\n%s", record)
				}
			})).Feature(),

		features.New("a custom resource is read without a Go type").
			Assess("the lesson defines widgets and reads them", assess(func(t *testing.T) {
				s := run.Step(t, "custom")
				s.Find(t, `3 widgets in the cache; spec.size of widget-1 is 10`)
				if got := s.Record.Verb("watch", "widgets").Events()["ADDED"]; got != 3 {
					t.Errorf("%d widgets were sent, want 3\n%s", got, s.Record)
				}
			})).
			Assess("the definition goes with the namespace", assess(func(t *testing.T) {
				definitionsGo(t, run.Namespace)
			})).
			Assess("and without the right, the lesson says so", assess(func(t *testing.T) {
				again := runLesson(t, "05-memory", runOptions{args: []string{"-step", "custom"},
					proxy: forbidding(t, observer.Match{Verb: "create",
						Resource: "customresourcedefinitions"})})
				again.Step(t, "custom").Find(t, `Skipped: this user may not add a resource`)
			})).Feature(),

		features.New("lesson 05").
			Assess("prints what is recorded", assess(func(t *testing.T) {
				checkTranscript(t, run, timesAsMuch)
			})).
			Assess("and leaves no namespace", assess(func(t *testing.T) {
				namespaceGoes(t, run.Namespace)
			})).Feature(),
	)
}

// timesAsMuch masks the ratios that lesson 05 prints.
var timesAsMuch = mask{regexp.MustCompile(`\d+(\.\d+)? times (the|as)`), "N times $2"}

// memoryCost is a line of a table of lesson 05.
type memoryCost struct {
	objects          int
	sent, kept, each int64 // bytes, as exact as they are printed
}

func costOf(t *testing.T, s step, row string) memoryCost {
	t.Helper()
	size := `(\S+ k?M?B)`
	m := s.Find(t, regexp.QuoteMeta(row)+` +(\d+) +`+size+` +`+size+` +`+size)
	objects, err := strconv.Atoi(m[0])
	if err != nil {
		t.Fatal(err)
	}
	return memoryCost{objects, parseBytes(t, m[1]), parseBytes(t, m[2]), parseBytes(t, m[3])}
}

// parseBytes reads what byteCount writes.
func parseBytes(t *testing.T, text string) int64 {
	t.Helper()
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(n * map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6}[unit])
}

// alike tells whether two sizes are alike: printed ones have two digits, and the end of a watch may
// bring some bytes more.
func alike(a, b int64) bool { return max(a, b)-min(a, b) <= max(a, b)/10 }

var definitionsResource = schema.GroupVersionResource{
	Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// definitions are the names of those that belong to a namespace of lesson 05.
func definitions(t *testing.T, namespace string) (names []string) {
	t.Helper()
	client, err := dynamic.NewForConfig(lab.config)
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.Resource(definitionsResource).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, definition := range list.Items {
		if strings.Contains(definition.GetName(), namespace) {
			names = append(names, definition.GetName())
		}
	}
	return names
}

// definitionsGo waits until the server has removed them: it does so after the namespace.
func definitionsGo(t *testing.T, namespace string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, limit, true,
		func(context.Context) (bool, error) { return len(definitions(t, namespace)) == 0, nil })
	if err != nil {
		t.Errorf("%v: left: %v", err, definitions(t, namespace))
	}
}

// forbidding is an observer that answers 403 to what matches.
func forbidding(t *testing.T, match observer.Match) *observer.Observer {
	t.Helper()
	proxy := ownObserver(t)
	proxy.Inject(match, observer.Forbidden())
	return proxy
}
