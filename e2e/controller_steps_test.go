package e2e

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/internal/observer"
)

// TestControllerLesson runs lesson 06. TestController runs its controller as a program.
func TestControllerLesson(t *testing.T) {
	children := map[string]map[string]string{} // by step: on the server after the step, with their keys
	ns := ""
	run := runLesson(t, "06-controller", runOptions{namespace: &ns, leaving: func(step string) {
		children[step] = childrenIn(t, ns)
	}})
	// The lesson's own clientset and the controller's are one program to the observer. The
	// controller alone watches, and writes children; their owners name them.
	written := func(s step, verb, parent string) observer.Record {
		return s.Record.Verb(verb, "configmaps").Where(func(r observer.Request) bool {
			return verb == "create" || r.Name == parent+"-summary"
		})
	}
	wireAgrees := func(t *testing.T, step string, verbs ...string) {
		t.Helper()
		s := run.Step(t, step)
		for _, verb := range verbs {
			if printed, seen := s.Wires(t)[0].Requests[verb], s.Record.Verb(verb, "configmaps").Count(); printed > seen {
				t.Errorf("printed %d %s, observed %d\n%s", printed, verb, seen, s.Record)
			}
		}
	}

	testenv.Test(t,
		features.New("a hundred changes are few reconciles, one at a time").WithLabel("claim", "B6").
			Assess("the queue merges them", assess(func(t *testing.T) {
				s := run.Step(t, "burst")
				if n := s.Int(t, `100 changes of one ConfigMap: (\d+) reconciles, 1 at most`); n < 1 || n > 50 {
					t.Errorf("%d reconciles", n)
				}
				// 100 updates of the parent are the lesson's; those of the child the controller's.
				if n := written(s, "update", "busy").Count(); n > 50 {
					t.Errorf("%d updates of the child", n)
				}
				wireAgrees(t, "burst", "create", "update")
			})).
			Assess("and the last state counts", assess(func(t *testing.T) {
				if got := children["burst"]["busy-summary"]; got != "100" {
					t.Errorf("the child says %q keys", got)
				}
			})).Feature(),

		features.New("an error is tried again, after growing waits").WithLabel("claim", "B7").
			Assess("the waits grow", assess(func(t *testing.T) {
				s := run.Step(t, "retry")
				first, last := printedTime(t, s, `2 +(\S+ \S+)`), printedTime(t, s, `8 +(\S+ \S+)`)
				if last < 8*first {
					t.Errorf("from %s to %s", first, last)
				}
			})).
			Assess("and each try is a request that is refused, until the name is free", assess(func(t *testing.T) {
				var conflicts, made []time.Time
				for _, r := range run.Step(t, "retry").Record.Verb("create", "configmaps").Requests {
					if r.Status == http.StatusConflict {
						conflicts = append(conflicts, r.Start)
					} else {
						made = append(made, r.Start)
					}
				}
				// Somebody else's ConfigMap, the parent, and at last the child.
				if len(conflicts) < 8 || len(made) != 3 {
					t.Fatalf("%d refused, %d made", len(conflicts), len(made))
				}
				if conflicts[7].Sub(conflicts[6]) < 4*conflicts[1].Sub(conflicts[0]) {
					t.Errorf("the waits do not grow: %v", conflicts)
				}
			})).
			Assess("then the child is there", assess(func(t *testing.T) {
				if got := children["retry"]["unlucky-summary"]; got != "1" {
					t.Errorf("the child says %q keys", got)
				}
			})).Feature(),

		features.New("a child that is deleted comes back, by one write").WithLabel("claim", "B8").
			Assess("one create", assess(func(t *testing.T) {
				s := run.Step(t, "restore")
				s.Find(t, `wire: 1 CREATE, 0 new connections`)
				if got := s.Record.Verb("create", "configmaps").Count(); got != 1 {
					t.Errorf("%d creates\n%s", got, s.Record)
				}
			})).
			Assess("and it is there", assess(func(t *testing.T) {
				if got := children["restore"]["app-summary"]; got != "2" {
					t.Errorf("the child says %q keys", got)
				}
			})).Feature(),

		features.New("a restart writes nothing").WithLabel("claim", "B9").
			Assess("a watch, and no more", assess(func(t *testing.T) {
				s := run.Step(t, "restart")
				s.Find(t, `wire: 1 WATCH, \d new connections?`)
				// 20 parents of the lesson, 20 children of the first controller, none of the second.
				if got := s.Record.Verb("create", "configmaps").Count(); got != 40 {
					t.Errorf("%d creates, want 40", got)
				}
				if got := s.Record.Verb("update", "configmaps").Count(); got != 0 {
					t.Errorf("%d updates, want none", got)
				}
				s.Find(t, `so it wrote nothing`)
			})).Feature(),

		features.New("with a late cache there is one child, and no needless write").WithLabel("claim", "B10").
			Assess("the server refuses a second child", assess(func(t *testing.T) {
				s := run.Step(t, "late")
				s.Find(t, `4 looks at hasty: 4 CREATE, 3 of them refused \(409\), 3 GET, 0 UPDATE`)
				refused, updates := 0, s.Record.Verb("update", "configmaps").Count()
				for _, r := range s.Record.Verb("create", "configmaps").Requests {
					if r.Status == http.StatusConflict {
						refused++
					}
				}
				if refused != 3 || updates != 0 {
					t.Errorf("%d creates refused, %d updates\n%s", refused, updates, s.Record)
				}
				s.Find(t, `children of hasty: 1`)
				s.Find(t, `requests after that: 0`)
			})).
			Assess("and one is there", assess(func(t *testing.T) {
				if got := children["late"]["hasty-summary"]; got != "1" {
					t.Errorf("the child says %q keys", got)
				}
			})).Feature(),

		features.New("a deletion that nobody saw does no harm").WithLabel("claim", "B11").
			Assess("it is told without the last state", assess(func(t *testing.T) {
				run.Step(t, "missed").Find(t, `deletions told without the last state: at least [12]`)
			})).
			Assess("and the child is back", assess(func(t *testing.T) {
				if got := children["missed"]["app-summary"]; got != "2" {
					t.Errorf("the child says %q keys", got)
				}
			})).Feature(),

		features.New("of two replicas one acts, and the other takes over").WithLabel("claim", "B12").
			Assess("the second one has no watch and writes nothing", assess(func(t *testing.T) {
				s := run.Step(t, "leader")
				s.Find(t, `by the first replica: true, by the second: false`)
				// One watch for each of the three that came to lead.
				if got := s.Record.Verb("watch", "configmaps").Count(); got != 3 {
					t.Errorf("%d watches, want 3\n%s", got, s.Record)
				}
			})).
			Assess("at once after an orderly end, else after the Lease's time", assess(func(t *testing.T) {
				s := run.Step(t, "leader")
				handed := printedTime(t, s, `the second one acts after (\S+ \S+)`)
				waited := printedTime(t, s, `a third one acts after (\S+ \S+)`)
				if waited < 3*time.Second || handed >= waited {
					t.Errorf("after %s and %s", handed, waited)
				}
			})).
			Assess("by requests for a Lease", assess(func(t *testing.T) {
				leases := run.Step(t, "leader").Record.Verb("", "leases")
				if leases.Verb("create", "").Count() < 1 || leases.Verb("update", "").Count() < 3 {
					t.Errorf("%s", leases)
				}
			})).Feature(),

		features.New("a shutdown finishes what is in the queue").WithLabel("claim", "B13").
			Assess("all children are there", assess(func(t *testing.T) {
				run.Step(t, "shutdown").Find(t, `50 of them had their child`)
				n := 0
				for name := range children["shutdown"] {
					if regexp.MustCompile(`^last-\d\d-summary$`).MatchString(name) {
						n++
					}
				}
				if n != 50 {
					t.Errorf("%d children on the server, want 50", n)
				}
			})).
			Assess("by writes that ended before the lesson's step did", assess(func(t *testing.T) {
				s := run.Step(t, "shutdown")
				// 50 parents of the lesson, 50 children.
				if got := s.Record.Verb("create", "configmaps").Count(); got != 100 {
					t.Errorf("%d creates, want 100", got)
				}
			})).Feature(),

		features.New("lesson 06").
			Assess("prints what is recorded", assess(func(t *testing.T) {
				checkTranscript(t, run, times)
			})).
			Assess("and leaves no namespace", assess(func(t *testing.T) {
				namespaceGoes(t, run.Namespace)
			})).Feature(),
	)
}

// times masks how often lesson 06's controller looked at things, which depends on the moment.
var times = mask{regexp.MustCompile(`\d+ (reconciles|times|UPDATE)\b|looked \d+|after \d+ reconciles`), "N"}

// childrenIn are the children in a namespace, and the keys that they say.
func childrenIn(t *testing.T, namespace string) map[string]string {
	t.Helper()
	list, err := lab.client.CoreV1().ConfigMaps(namespace).List(t.Context(),
		metav1.ListOptions{LabelSelector: "summary=made"})
	if err != nil {
		t.Fatal(err)
	}
	children := map[string]string{}
	for _, child := range list.Items {
		children[child.Name] = child.Data["keys"]
	}
	return children
}
