package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/e2e/faults"
	"client-go-lessons/internal/observer"
)

// seats are for lessons that run side by side, those of all tests that run in parallel together:
// more than there are processors, since most of what lessons do is to wait.
var seats = make(chan struct{}, 8)

// TestFaults runs lessons while the cluster misbehaves: each row of package faults says what goes
// wrong and what the learner must then see. make e2e-faults sets FAULTS=slow, and runs the rows that
// take long; without it, make e2e runs the others.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, name := range lessonNames() {
		binary(t, name) // built before the clocks of the cases run
	}
	var all sync.WaitGroup
	for _, section := range faults.Sections {
		for _, row := range section.Rows {
			if row.Slow != slowFaults() {
				continue
			}
			for i, cases := range row.Cases {
				for _, c := range cases {
					lesson := faults.Lessons[i]
					seats <- struct{}{}
					all.Go(func() {
						defer func() { <-seats }()
						t.Run(fmt.Sprintf("%s/%s %s", row.Name, lesson, c.Name()), func(t *testing.T) {
							if c.Outcome == faults.NotApplicable {
								t.Skip("not applicable: " + c.Says)
							}
							runUnderFault(t, lesson, row, c)
						})
					})
				}
			}
		}
	}
	all.Wait()
}

// slowFaults tells whether it is the turn of what takes its time.
func slowFaults() bool { return os.Getenv("FAULTS") == "slow" }

// runUnderFault runs a lesson behind an observer of its own, which injects what the case asks for.
func runUnderFault(t *testing.T, lesson string, row faults.Row, c faults.Case) {
	noteFailure(t)
	var opts []observer.Option
	if row.HTTP1 {
		opts = append(opts, observer.WithHTTP1Only())
	}
	proxy, err := observer.Start(lab.config, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	}()
	injected := row.Faults
	if c.Faults != nil {
		injected = c.Faults
	}
	for _, f := range injected {
		proxy.Inject(f.Match, f.Fault)
	}

	var args []string
	if c.Step > 0 {
		args = append(args, "-step", fmt.Sprint(c.Step))
	}
	if c.Within > 0 {
		args = append(args, "-timeout", c.Within.String())
	}
	var stderr strings.Builder
	acted := false
	o := runOptions{args: args, proxy: proxy, stderr: &stderr,
		before: func(n int) {
			if c.Act != faults.Nothing && n == c.Prompt {
				acted = true
				act(t, lesson, c.Act, proxy)
			}
		}}
	run, err := tryLesson(t, lesson, o)
	record := proxy.Since(observer.Mark{})
	defer func() {
		if t.Failed() {
			t.Logf("exit code %d\n%s\n%s\n%s", run.Code, run.Output, stderr.String(), record)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}

	checkInjected(t, row, c, record, acted)
	checkOutcome(t, c, run, record, stderr.String())
	checkNamespace(t, c, record, stderr.String())
}

// act does what the case wants to happen in the middle of the lesson.
func act(t *testing.T, lesson string, what faults.Act, proxy *observer.Observer) {
	t.Helper()
	var err error
	switch what {
	case faults.NewCertificate:
		mark := proxy.Mark()
		if err = proxy.RotateCertificate(true); err == nil && hasInformer(lesson) {
			// The lesson goes on when its informer is back: a write into the connection that has
			// just been broken would be lost, now and then.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err = proxy.Wait(ctx, mark, func(r observer.Record) bool {
				return r.Verb("watch", "configmaps").Open().Count() > 0
			})
		}
	case faults.NewAuthority:
		err = proxy.RotateCertificate(false)
	case faults.NamespaceDeleting, faults.NamespaceDeleted:
		name := proxy.Since(observer.Mark{}).Verb("create", "configmaps").Requests[0].Namespace
		err = lab.client.CoreV1().Namespaces().Delete(t.Context(), name, metav1.DeleteOptions{})
		if err == nil && what == faults.NamespaceDeleted {
			namespaceGone(t, name)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// hasInformer tells whether a lesson's informer runs while it waits at a prompt.
func hasInformer(lesson string) bool {
	return lesson == faults.Lessons[2] || lesson == faults.Lessons[3]
}

// checkInjected fails a case whose fault never took place: it would prove nothing.
func checkInjected(t *testing.T, row faults.Row, c faults.Case, record observer.Record, acted bool) {
	t.Helper()
	took := acted
	for _, r := range record.Requests {
		took = took || tookEffect(t, r) || row.HTTP1 && r.Proto == "HTTP/1.1"
		if strings.Contains(r.Injected, "events") && r.Header.Get("Content-Encoding") != "" {
			t.Errorf("a fault on events met a compressed stream, in which it sees none: %s", r)
		}
	}
	if !took || acted != (c.Act != faults.Nothing) {
		t.Error("the fault was never injected")
	}
}

// tookEffect tells whether a fault did something to the request. One that is to act after so many
// events needs that many.
func tookEffect(t *testing.T, r observer.Request) bool {
	t.Helper()
	m := afterEvents.FindStringSubmatch(r.Injected)
	if m == nil {
		return r.Injected != ""
	}
	after, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, n := range r.Events {
		passed += n
	}
	return passed >= after
}

var afterEvents = regexp.MustCompile(`after (\d+) events`)

// ownLog is a line of client-go's own log, which is not the lesson's.
var ownLog = regexp.MustCompile(`^[IWEF]\d{4} .*\n?`)

// checkOutcome compares how the run ended, and what it said of it, with the case.
func checkOutcome(t *testing.T, c faults.Case, run lessonRun, record observer.Record, stderr string) {
	t.Helper()
	if regexp.MustCompile(`(?m)^goroutine \d|^panic: |^\s+\S+\.go:\d+ \+0x|DATA RACE`).MatchString(run.Output + stderr) {
		t.Error("it prints a stack trace")
	}
	var errs []string // what the lesson itself says went wrong
	for line := range strings.Lines(stderr) {
		if !ownLog.MatchString(line) {
			errs = append(errs, line)
		}
	}
	said := strings.Join(errs, "")
	switch c.Outcome {
	case faults.Survives:
		if run.Code != 0 || said != "" {
			t.Errorf("exit code %d and an error, want none: %s", run.Code, said)
		}
		if !strings.Contains(run.Output, c.Says) {
			t.Errorf("the output does not say %q", c.Says)
		}
		if missing := stepsMissing(t, c, run); len(missing) > 0 {
			t.Errorf("not printed: %q", missing)
		}
		checkWires(t, c, run, record)
	case faults.Fails:
		if run.Code != 1 {
			t.Errorf("exit code %d, want 1", run.Code)
		}
		// What failed and what to do; the same of a namespace that is left behind.
		most := 2
		if c.Left {
			most = 4
		}
		if len(errs) < 2 || len(errs) > most {
			t.Errorf("%d lines of error, want 2, at most %d:\n%s", len(errs), most, said)
		}
		if !strings.Contains(said, c.Says) {
			t.Errorf("the error does not say %q:\n%s", c.Says, said)
		}
	}
}

// stepsMissing are the headings that the lesson's recorded run has and this run should have, too.
func stepsMissing(t *testing.T, c faults.Case, run lessonRun) (missing []string) {
	t.Helper()
	recorded, err := os.ReadFile(filepath.Join("..", "lessons", run.Name, "output.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(recorded)) {
		line = strings.TrimSuffix(line, "\n")
		m := heading.FindStringSubmatch(line)
		wanted := c.Step == 0 && (m != nil || line == "What you can now say") ||
			m != nil && m[1] == fmt.Sprint(c.Step)
		if wanted && !slices.Contains(strings.Split(run.Output, "\n"), line) {
			missing = append(missing, line)
		}
	}
	return missing
}

// checkWires: under no fault does a lesson claim requests that did not reach the observer. An
// informer's request may be claimed in one step and arrive in the next. What was sent into a
// connection just before it was found broken may be claimed and never arrive, and so may a watch
// that an informer was about to send when it was stopped.
func checkWires(t *testing.T, c faults.Case, run lessonRun, record observer.Record) {
	t.Helper()
	lost := 0
	if c.Act == faults.NewCertificate {
		lost = record.Opened
	}
	claimed := map[string]int{}
	for _, s := range run.Steps {
		for _, w := range s.Wires(t) {
			for verb, n := range w.Requests {
				claimed[verb] += n
			}
		}
	}
	seen := onWire(configMaps(record)).Requests
	for verb, n := range claimed {
		lost := lost
		if verb == "watch" && (run.Name == "03-informer" || run.Name == "04-fallback") {
			lost++
		}
		if n > seen[verb]+lost {
			t.Errorf("the lesson claims %d %s, the observer saw %d", n, verb, seen[verb])
		}
	}
}

// checkNamespace: whatever the lesson made is gone, or the learner is told how to remove it.
func checkNamespace(t *testing.T, c faults.Case, record observer.Record, stderr string) {
	t.Helper()
	made := map[string]bool{}
	for _, r := range record.Requests {
		if r.Namespace != "" && (r.Resource == "configmaps" || r.Verb == "delete") {
			made[r.Namespace] = true
		}
	}
	for _, r := range record.Verb("create", "namespaces").Requests {
		if r.Status == http.StatusCreated && len(made) == 0 {
			t.Error("a namespace was made, and nothing says which")
		}
	}
	for name := range made {
		if !c.Left {
			namespaceGoes(t, name)
			continue
		}
		if want := "kubectl delete namespace " + name; !strings.Contains(stderr, want) {
			t.Errorf("the error does not say %q", want)
		}
		ctx := context.WithoutCancel(t.Context())
		if err := lab.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("it is not left behind: %v", err)
		}
	}
}
