package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"client-go-lessons/e2e/soak"
	"client-go-lessons/internal/observer"
)

// TestSoak runs lessons under random faults until a time is up. It is for make soak, which sets
// SOAK_TIME and, if asked to, SOAK_SEED, SOAK_PARALLEL, SOAK_RUNS (the number of runs at most) and
// SOAK_RUN (the number of the only run).
func TestSoak(t *testing.T) {
	if os.Getenv("SOAK_TIME") == "" {
		t.Skip("takes as long as one likes: make soak")
	}
	noteFailure(t)
	s := newSoaking(t)
	began := time.Now()
	defer watchdog(s.time + 15*time.Minute)()
	s.before()

	var workers sync.WaitGroup
	for range s.report.Parallel {
		workers.Go(func() {
			for plan, ok := s.next(began); ok; plan, ok = s.next(began) {
				s.run(plan)
			}
		})
	}
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	progress, sample := time.NewTicker(30*time.Second), time.NewTicker(s.time/serverSamples)
	defer progress.Stop()
	defer sample.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-progress.C:
			s.tell(time.Since(began))
		case <-sample.C:
			s.server(time.Since(began))
		}
	}
	s.report.Took = time.Since(began)
	s.tell(s.report.Took)
	s.after()

	for _, f := range s.report.Failures {
		t.Errorf("%s\n\t%s\n\tsee %s\n\tagain: make soak SEED=%d RUN=%d",
			f.Plan, strings.Join(f.Wrong, "\n\t"), f.Folder, s.report.Seed, f.Run)
	}
	for _, ns := range s.report.LeakedNamespaces {
		t.Errorf("namespace %s was left behind without a word", ns)
	}
	if begin, end := s.report.TestRoutines[0], s.report.TestRoutines[1]; end > begin+10 {
		t.Errorf("the soak itself left %d goroutines; it had %d in the beginning", end, begin)
	}
	s.publish()
}

// soaking is a soak under way.
type soaking struct {
	t       *testing.T
	time    time.Duration
	most    int // runs
	only    int // the number of the only run, 0 if all
	lessons []string
	folder  string // for what failed

	mu      sync.Mutex
	runs    int
	report  soak.Report
	there   map[string]bool // namespaces from before
	excused map[string]bool // namespaces that a lesson said it left
	killed  []string        // namespaces of killed lessons, as far as known, else ""
}

func newSoaking(t *testing.T) *soaking {
	number := func(name string, otherwise int) int {
		text := os.Getenv(name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s=%s: want a number from 1", name, text)
		}
		return n
	}
	s := &soaking{t: t, lessons: lessonNames(), there: map[string]bool{}, excused: map[string]bool{}}
	var err error
	if s.time, err = time.ParseDuration(os.Getenv("SOAK_TIME")); err != nil {
		t.Fatalf("SOAK_TIME: %v", err)
	}
	s.only = number("SOAK_RUN", 0)
	s.most = number("SOAK_RUNS", 1<<30)
	s.report = soak.Report{Seed: rand.Uint64N(1_000_000), Parallel: number("SOAK_PARALLEL", 4),
		Provider: lab.provider, Kubernetes: lab.version}
	if seed := os.Getenv("SOAK_SEED"); seed != "" {
		if s.report.Seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
			t.Fatalf("SOAK_SEED: %v", err)
		}
	}
	if s.folder, err = filepath.Abs("../bin/soak"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.folder); err != nil {
		t.Fatal(err)
	}
	for _, name := range s.lessons {
		binary(t, name) // built before the clock runs
	}
	return s
}

// watchdog ends the process, with all its stacks, when a soak does not come to its end.
func watchdog(after time.Duration) (stop func()) {
	timer := time.AfterFunc(after, func() { panic("the soak hangs") })
	return func() { timer.Stop() }
}

// next hands out the plan of the next run until the time is up.
func (s *soaking) next(began time.Time) (soak.Plan, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs >= s.most || s.only > 0 && s.runs > 0 || time.Since(began) >= s.time {
		return soak.Plan{}, false
	}
	s.runs++
	run := s.runs
	if s.only > 0 {
		run = s.only
	}
	return soak.New(s.report.Seed, run, s.lessons), true
}

func (s *soaking) tell(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Println(s.report.Line(took))
}

// run does one run, judges it, and adds it to the report.
func (s *soaking) run(p soak.Plan) {
	var opts []observer.Option
	if p.HTTP1 {
		opts = append(opts, observer.WithHTTP1Only())
	}
	proxy, err := observer.Start(lab.config, opts...)
	if err != nil {
		s.t.Error(err)
		return
	}
	dir, err := os.MkdirTemp(lab.dir, "soak-")
	if err != nil {
		s.t.Error(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	start := proxy.Mark()
	result, hits, err := s.lesson(p, proxy, dir)
	record := proxy.Since(start)
	if e := proxy.Close(); err == nil {
		err = e
	}
	if err != nil {
		s.t.Error(err)
		return
	}
	for _, r := range record.Requests {
		if r.Resource != "namespaces" {
			result.Sent[r.Verb]++
		}
	}
	outcome, wrong := soak.Judge(p, result)
	wrong = append(wrong, s.namespace(p, outcome, result, record)...)

	var failure *soak.Failure
	if len(wrong) > 0 {
		failure = &soak.Failure{Plan: p.String(), Run: p.Run, Wrong: wrong, Folder: s.keep(p, result, record)}
		fmt.Printf("soak: WRONG: %s: %s\n", p, strings.Join(wrong, "; "))
	} else if s.only > 0 {
		fmt.Printf("soak: %s: %s\n%s%s\n%s", outcome, p, result.Stdout, result.Stderr, record)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Add(p, outcome, hits(record), failure)
	s.report.LogLines += strings.Count(result.Stderr, "\n") - len(result.Said())
	if result.Leaks != "" {
		s.report.LeakedRoutines++
	}
}

// lesson runs the lesson of a plan through the proxy.
func (s *soaking) lesson(p soak.Plan, proxy *observer.Observer, dir string) (
	r soak.Result, hits func(observer.Record) map[string]int, err error,
) {
	r = soak.Result{Sent: map[string]int{}, Version: lab.version}
	kubeconfig, leaks := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "leaks")
	if err := proxy.Kubeconfig(kubeconfig, contextName()); err != nil {
		return r, nil, err
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), p.Timeout+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(s.t, p.Lesson), "-kubeconfig", kubeconfig, "-timeout", p.Timeout.String())
	cmd.Dir = dir
	cmd.Env = append(cleanEnv(dir), "KUBE_CACHE_MUTATION_DETECTOR=true", "LESSON_LEAKS_FILE="+leaks)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // its stacks say where it hangs
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr

	var mu sync.Mutex // the signal may be due before Start has returned
	mu.Lock()
	hits = p.Inject(proxy, func(sig os.Signal) {
		mu.Lock()
		defer mu.Unlock()
		r.Signaled = cmd.Process.Signal(sig) == nil
	})
	err = cmd.Start()
	mu.Unlock()
	if err != nil {
		return r, hits, err
	}
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		return r, hits, err
	}
	mu.Lock()
	defer mu.Unlock()
	r.Code, r.Hung = cmd.ProcessState.ExitCode(), ctx.Err() != nil
	r.Stdout, r.Stderr = stdout.String(), stderr.String()
	left, err := os.ReadFile(leaks)
	r.Leaks, r.Unreported = string(left), err != nil
	return r, hits, nil
}

// namespace checks what became of a run's namespace, against what its lesson said of it.
func (s *soaking) namespace(p soak.Plan, o soak.Outcome, r soak.Result, record observer.Record) (wrong []string) {
	own, left, deleted := r.Namespaces()
	fooled := false  // a fault told the lesson that the namespace is gone
	refused := false // a fault kept it from deleting the namespace
	for _, q := range record.Requests {
		if own == "" && strings.HasPrefix(q.Namespace, "lesson-") {
			own = q.Namespace // the lesson did not come to speak of it
		}
		if q.Verb == "delete" && q.Resource == "namespaces" {
			fooled = fooled || q.Status == 404 && q.Injected != ""
			refused = refused || q.Injected != ""
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o == soak.Killed {
		s.killed = append(s.killed, own)
		return nil
	}
	if left != "" {
		s.excused[left] = true
		if !refused && !p.Breaks() {
			wrong = append(wrong, fmt.Sprintf("it left %s, and no fault kept it from deleting that", left))
		}
	}
	if fooled {
		s.excused[own] = true
		return nil
	}
	for _, other := range []string{left, deleted} {
		if other != "" && own != "" && other != own {
			wrong = append(wrong, fmt.Sprintf("its namespace is %s, it speaks of %s", own, other))
		}
	}
	if own == "" || left != "" {
		return wrong
	}
	ns, err := lab.client.CoreV1().Namespaces().Get(s.t.Context(), own, metav1.GetOptions{})
	if err == nil && ns.DeletionTimestamp == nil {
		s.excused[own] = true // said here already
		wrong = append(wrong, fmt.Sprintf("its namespace %s was not deleted", own))
	} else if err != nil && !apierrors.IsNotFound(err) {
		wrong = append(wrong, err.Error())
	}
	return wrong
}

// keep saves what there is to know of a run that went wrong.
func (s *soaking) keep(p soak.Plan, r soak.Result, record observer.Record) string {
	dir := filepath.Join(s.folder, strconv.Itoa(p.Run))
	err := os.MkdirAll(dir, 0o755)
	for name, text := range map[string]string{
		"plan": p.String() + "\n", "stdout": r.Stdout, "stderr": r.Stderr, "leaks": r.Leaks, "requests": record.String(),
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	if err != nil {
		s.t.Log(err)
	}
	return dir
}

// before notes how things are before the first run.
func (s *soaking) before() {
	fmt.Printf("soak: %s, %d at a time, seed %d\n", s.time, s.report.Parallel, s.report.Seed)
	for name := range s.namespaces(s.t.Context()) {
		s.there[name] = true
	}
	s.report.TestRoutines[0] = runtime.NumGoroutine()
	s.server(0)
}

// after looks for what was left, and removes it.
func (s *soaking) after() {
	ctx := context.WithoutCancel(s.t.Context())
	for name := range s.namespaces(ctx) {
		if !s.there[name] && s.excused[name] {
			s.report.SaidLeft++
			s.remove(ctx, name)
		}
	}
	for name := range s.namespaces(ctx) { // those that are not on their way out
		if s.there[name] || s.excused[name] {
			continue
		}
		unknown := slices.Index(s.killed, "") // a lesson killed before it made a second request
		switch i := slices.Index(s.killed, name); {
		case i >= 0:
			s.killed = slices.Delete(s.killed, i, i+1)
			s.report.KilledLeft++
		case unknown >= 0:
			s.killed = slices.Delete(s.killed, unknown, unknown+1)
			s.report.KilledLeft++
		default:
			s.report.LeakedNamespaces = append(s.report.LeakedNamespaces, name)
		}
		s.remove(ctx, name)
	}
	var left map[string]bool
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, 2*time.Minute, true,
		func(ctx context.Context) (bool, error) {
			left = s.all(ctx)
			return len(left) == 0, nil
		})
	if err != nil {
		s.t.Errorf("deleted namespaces that do not go: %v", left)
	}
	runtime.GC()
	s.report.TestRoutines[1] = runtime.NumGoroutine()
	s.server(s.report.Took)
}

// publish writes what make soak-docs puts into the pages, unless something failed.
func (s *soaking) publish() {
	const summary = "../bin/soak-summary.md"
	raw, err := json.MarshalIndent(s.report, "", "  ")
	err = errors.Join(err, os.WriteFile("../bin/soak-summary.json", append(raw, '\n'), 0o644))
	if s.t.Failed() {
		err = errors.Join(err, os.RemoveAll(summary))
	} else {
		err = errors.Join(err, os.WriteFile(summary, []byte(s.report.Markdown()), 0o644))
	}
	if err != nil {
		s.t.Error(err)
	}
	fmt.Printf("\n%s\nseed %d: make soak SEED=%d\n", s.report.Markdown(), s.report.Seed, s.report.Seed)
}

// namespaces are those of lessons that are not being deleted.
func (s *soaking) namespaces(ctx context.Context) map[string]bool {
	found := map[string]bool{}
	list, err := lab.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: "client-go-lessons/lesson"})
	if err != nil {
		s.t.Error(err)
		return found
	}
	for _, ns := range list.Items {
		if ns.DeletionTimestamp == nil {
			found[ns.Name] = true
		}
	}
	return found
}

// all are those of lessons that the soak has made, those being deleted, too.
func (s *soaking) all(ctx context.Context) map[string]bool {
	found := map[string]bool{}
	list, err := lab.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: "client-go-lessons/lesson"})
	if err != nil {
		return map[string]bool{err.Error(): true}
	}
	for _, ns := range list.Items {
		if !s.there[ns.Name] {
			found[ns.Name] = true
		}
	}
	return found
}

func (s *soaking) remove(ctx context.Context, name string) {
	err := lab.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		s.t.Error(err)
	}
}

// serverSamples is how many times a soak looks at the server's memory.
const serverSamples = 6

// server notes what the API server's process holds.
func (s *soaking) server(after time.Duration) {
	raw, err := lab.client.CoreV1().RESTClient().Get().AbsPath("/metrics").Do(context.WithoutCancel(s.t.Context())).Raw()
	if err != nil {
		s.t.Error(err)
		return
	}
	metric := func(pattern string) float64 {
		m := regexp.MustCompile(`(?m)^` + pattern + ` (\S+)$`).FindSubmatch(raw)
		if m == nil {
			s.t.Errorf("/metrics does not tell %s", pattern)
			return 0
		}
		value, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			s.t.Error(err)
		}
		return value
	}
	s.report.Server = append(s.report.Server, soak.Server{
		After:      after,
		ResidentMB: int(metric("process_resident_memory_bytes") / 1e6),
		HeapMB:     int(metric("go_memstats_heap_inuse_bytes") / 1e6),
		StorageMB:  int(metric(`apiserver_storage_size_bytes\{.*\}`) / 1e6),
		Goroutines: int(metric("go_goroutines")),
	})
}
