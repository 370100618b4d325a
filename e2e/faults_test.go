package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/faults"
	"client-go-lessons/internal/observer"
)

// seats are for lessons that run side by side, those of all tests that run in parallel together:
// more than there are processors, since most of what lessons do is to wait.
var seats = make(chan struct{}, 8)

// TestFaults runs lessons while the cluster misbehaves, as the table of package faults says. make
// e2e-faults sets FAULTS=slow, and runs the cases that take their time; make e2e runs the others.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, name := range lessonNames() {
		binary(t, name) // built before the clocks of the cases run
	}
	var all sync.WaitGroup
	for _, section := range faults.Sections {
		for _, c := range section.Cases() {
			if c.Slow() != slow() {
				continue
			}
			seats <- struct{}{}
			all.Go(func() {
				defer func() { <-seats }()
				t.Run(c.Name(), func(t *testing.T) { runUnderFault(t, c) })
			})
		}
	}
	all.Wait()
}

// runUnderFault runs a step of a lesson behind an observer of its own, which injects the fault.
func runUnderFault(t *testing.T, c faults.Case) {
	noteFailure(t)
	proxy := faultyObserver(t, c.Row.Fault.HTTP1)
	for _, i := range c.Row.Fault.Injections {
		proxy.Inject(i.Match, i.Fault)
	}
	var stderr strings.Builder
	acted := false
	o := runOptions{proxy: proxy, stderr: &stderr, entering: func(step string) {
		if step == c.Column.Step && c.Row.Fault.Act != faults.Nothing {
			acted = true
			act(t, c, proxy)
		}
	}}
	if c.Column.Step != faults.Whole {
		o.args = append(o.args, "-step", c.Column.Step)
	}
	if d := c.Cell.Timeout(); d > 0 {
		o.args = append(o.args, "-timeout", d.String())
	}
	if c.Row.Fault.Env != "" {
		o.env = append(o.env, c.Row.Fault.Env)
	}
	run, err := tryLesson(t, c.Column.Lesson, o)
	record := proxy.Since(observer.Mark{})
	defer func() {
		if t.Failed() {
			t.Logf("exit code %d\n%s\n%s\n%s", run.Code, run.Output, stderr.String(), record)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	lost := 0 // what was sent into a connection just before it was found broken may never arrive
	if c.Row.Fault.Act == faults.NewCertificate {
		lost = record.Opened
	}
	for _, problem := range problems(t, run, stderr.String(), record, lost) {
		t.Error(problem)
	}
	// What the environment takes away is a way to meet the fault.
	if !acted && !took(record) && !c.Row.Fault.HTTP1 && c.Row.Fault.Env == "" {
		t.Error("the fault was never injected")
	}
	said := stderr.String()
	if c.Cell.Outcome == faults.Survives {
		said = run.Output
		if run.Code != 0 {
			t.Errorf("exit code %d, want 0", run.Code)
		}
	} else if run.Code != 1 {
		t.Errorf("exit code %d, want 1", run.Code)
	}
	if !strings.Contains(said, c.Cell.Says) {
		t.Errorf("it does not say %q", c.Cell.Says)
	}
	if c.Row.Fault.Left {
		removeLeft(t, stderr.String())
	} else if strings.Contains(stderr.String(), leftBehind) {
		t.Error("it leaves its namespace behind")
	}
}

// faultyObserver starts an observer for one run.
func faultyObserver(t *testing.T, http1 bool) *observer.Observer {
	t.Helper()
	proxy, err := startObserver(http1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	return proxy
}

func startObserver(http1 bool) (*observer.Observer, error) {
	if http1 {
		return observer.Start(lab.config, observer.WithHTTP1Only())
	}
	return observer.Start(lab.config)
}

// ownObserver starts an observer for one run.
func ownObserver(t *testing.T) *observer.Observer { return faultyObserver(t, false) }

// act does what the row wants to happen before the step.
func act(t *testing.T, c faults.Case, proxy *observer.Observer) {
	t.Helper()
	var err error
	switch what := c.Row.Fault.Act; what {
	case faults.NewCertificate:
		mark := proxy.Mark()
		watched := proxy.Since(observer.Mark{}).Verb("watch", "configmaps").Open().Count() > 0
		if err = proxy.RotateCertificate(true); err == nil && watched {
			// The lesson goes on when its informer is back: a write into the connection that has
			// just been broken would be lost, now and then.
			ctx, cancel := context.WithTimeout(t.Context(), limit)
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

// atRequest does something when a request arrives, and lets the request go on.
func atRequest(name string, do func()) observer.Fault {
	return observer.NewFault(name, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			do()
			next.ServeHTTP(w, r)
		})
	})
}

var afterEvents = regexp.MustCompile(`after (\d+) events`)

// took tells whether a fault did something. One that acts after so many events needs that many.
func took(record observer.Record) bool {
	for _, r := range record.Requests {
		events, after := 0, 0
		for _, n := range r.Events {
			events += n
		}
		if m := afterEvents.FindStringSubmatch(r.Injected); m != nil {
			after, _ = strconv.Atoi(m[1]) // the pattern is one of digits
		}
		if r.Injected != "" && events >= after {
			return true
		}
	}
	return false
}

// leftBehind is in the command that removes a namespace which a lesson could not delete.
const leftBehind = " delete namespace "

// logLine is one of client-go's own log, which is not the lesson's.
var logLine = regexp.MustCompile(`^[IWEF]\d{4} \d\d:\d\d:\d\d`)

// ownWords are the lines that a lesson itself wrote to stderr.
func ownWords(stderr string) (lines []string) {
	logged := false
	for line := range strings.Lines(stderr) {
		// An indented line, or one that begins with >, goes on with what was logged.
		logged = logLine.MatchString(line) || logged && strings.HasPrefix(line, "\t") || logged && strings.HasPrefix(line, " >")
		if !logged {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

var stackTrace = regexp.MustCompile(`(?m)^goroutine \d|^panic: |^\s+\S+\.go:\d+ \+0x|DATA RACE`)

// problems are what no run may do, whatever happens to it. tryLesson has looked for goroutines that
// are left. lost is how many requests of a kind may have been sent and not have arrived.
func problems(t *testing.T, run lessonRun, stderr string, record observer.Record, lost int) (found []string) {
	bad := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if m := stackTrace.FindString(run.Output + stderr); m != "" {
		bad("it prints a stack trace: %q", m)
	}
	said := ownWords(stderr)
	most := map[int]int{1: 2, 130: 1, 143: 1}[run.Code] // what failed and what to do; the farewell
	if strings.Contains(stderr, leftBehind) {
		most += 2 // the same about the namespace
	}
	if len(said) > most || run.Code == 1 && len(said) < 2 {
		bad("exit code %d and %d lines on stderr: %q", run.Code, len(said), said)
	}
	if run.Code == 0 && (len(run.Steps) == 0 || len(run.Steps[len(run.Steps)-1].Lines) == 0) {
		bad("exit code 0, and its last step says nothing")
	}

	// Under no fault does a lesson claim requests that did not reach the observer, but for a watch
	// that an informer was about to send when it was stopped.
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
		if allowed := seen[verb] + lost; verb != "watch" && n > allowed || verb == "watch" && n > allowed+1 {
			bad("the lesson claims %d %s, the observer saw %d", n, verb, seen[verb])
		}
	}

	// Whatever it made is gone, or it says how to remove it.
	for name := range namespacesOf(record) {
		if run.Code != -1 && !strings.Contains(stderr, leftBehind) {
			ns, err := lab.client.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
			if err == nil && ns.DeletionTimestamp == nil || err != nil && !apierrors.IsNotFound(err) {
				bad("namespace %s is left behind without a word (%v)", name, err)
			}
		}
	}
	return found
}

// namespacesOf are those that a lesson asked for something in.
func namespacesOf(record observer.Record) map[string]bool {
	names := map[string]bool{}
	for _, r := range record.Requests {
		if strings.HasPrefix(r.Namespace, "lesson-") {
			names[r.Namespace] = true
		}
	}
	return names
}

// removeLeft removes the namespace that a lesson says it left.
func removeLeft(t *testing.T, stderr string) {
	t.Helper()
	m := regexp.MustCompile(`kubectl.*` + leftBehind + `(\S+)`).FindStringSubmatch(stderr)
	if m == nil {
		t.Errorf("it does not say %q", leftBehind)
		return
	}
	err := lab.client.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), m[1], metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Error(err)
	}
}

// slow tells whether it is the turn of what takes its time.
func slow() bool { return os.Getenv("FAULTS") == "slow" }

// slowTest skips a test that takes long, unless it is asked for: make e2e-faults.
func slowTest(t *testing.T) {
	t.Helper()
	if !slow() {
		t.Skip("slow: FAULTS=slow, or make e2e-faults")
	}
}

// TestSyncWithoutPause shows what docs/reliability.md says of client-go itself: where the list that a
// watch starts with does not end, an informer asks again without a pause, and where every watch is
// answered with 410, too. A RetryWatcher asks once a second. A client-go that fares better fails here.
func TestSyncWithoutPause(t *testing.T) {
	slowTest(t)
	noteFailure(t)
	const window = 3 * time.Second
	all := observer.Match{Verb: "watch", Resource: "configmaps"}
	retry := plainWatches(t, all, observer.Expired(), window, plainRetryWatcher)
	for name, fault := range map[string]observer.Fault{"410": observer.Expired(), "end": observer.EndAfterEvents(1)} {
		informer := plainWatches(t, all, fault, window, plainInformer)
		t.Logf("%s, within %s: %d watches by an informer, %d by a RetryWatcher", name, window, informer, retry)
		if retry < 2 || informer < 10*retry {
			t.Errorf("%s: want at least 2 by a RetryWatcher, and far more by an informer", name)
		}
	}
}
