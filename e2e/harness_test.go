package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/internal/observer"
)

// prompt is what a lesson prints under -pause before each step and before the end: the name of what
// comes.
var prompt = regexp.MustCompile(`^-- (\S+): press Enter --$`)

// limit is after how long without a line and without a request a lesson hangs, on however busy a
// machine.
const limit = 3 * time.Minute

// untilItHangs returns a context that ends when what moved counts has not changed for the limit.
func untilItHangs(ctx context.Context, moved func() int) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for last, since := moved(), time.Now(); ; {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
			if now := moved(); now != last {
				last, since = now, time.Now()
			} else if time.Since(since) > limit {
				cancel()
			}
		}
	}()
	return ctx, cancel
}

// requests counts those of an observer's that name a resource. The others may come from a lesson that
// hangs: it asks whether the server is still there.
func requests(proxy *observer.Observer, since observer.Mark) int {
	return proxy.Since(since).Where(func(r observer.Request) bool { return r.Resource != "" }).Count()
}

// lessonRun is one run of a lesson under -pause, cut at its prompts.
type lessonRun struct {
	Name      string
	Output    string // without the prompts
	Code      int    // exit code
	Namespace string // that the lesson made for itself
	Steps     []step
	Setup     observer.Record // what was requested before the first step
}

// step is what one step printed, and what the observer recorded while it ran.
type step struct {
	Number int
	Name   string
	Title  string
	Claims []string
	Lines  []string
	Record observer.Record
}

type runOptions struct {
	args   []string
	env    []string
	before func(n int) // called before step n begins, with the lesson waiting
	after  func(n int) // called after step n, with the lesson waiting
	// The same with the step's name. After the last step, entering is called with "end".
	entering, leaving func(step string)
	proxy             *observer.Observer
	// namespace is set when the lesson has said what its namespace is called.
	namespace *string
	// started is given the lesson's process.
	started func(*os.Process)
	stderr  io.Writer // if set, what goes to stderr goes there instead of into Output
	// signal is sent to the lesson when its request of this number, counted from 1, arrives at proxy.
	signal os.Signal
	at     int
}

// runLesson runs a lesson through the observer to its end. It fails the test when the lesson fails.
func runLesson(t *testing.T, name string, o runOptions) lessonRun {
	t.Helper()
	noteFailure(t)
	run, err := tryLesson(t, name, o)
	if err != nil {
		t.Fatalf("lesson %s: %v\n%s", name, err, run.Output)
	}
	if run.Code != 0 {
		t.Fatalf("lesson %s ended with exit code %d:\n%s", name, run.Code, run.Output)
	}
	return run
}

func tryLesson(t *testing.T, name string, o runOptions) (run lessonRun, err error) {
	t.Helper()
	proxy := o.proxy
	if proxy == nil {
		proxy = lab.observer
	}
	run = lessonRun{Name: name}
	path := binary(t, name) // may have to be built, which is not part of the limit
	mark := proxy.Mark()
	start := mark
	var printed atomic.Int64 // lines
	ctx, cancel := untilItHangs(t.Context(), func() int { return int(printed.Load()) + requests(proxy, start) })
	defer cancel()

	// The lesson finds the observer as a learner's lesson finds the cluster of the workspace.
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".cluster"), 0o700); err != nil {
		return run, err
	}
	if err := proxy.Kubeconfig(filepath.Join(dir, ".cluster", "kubeconfig"), contextName()); err != nil {
		return run, err
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"-pause"}, o.args...)...)
	cmd.Dir = dir
	// A lesson that changes an object of the cache panics under the mutation detector.
	leaks := filepath.Join(dir, "leaks")
	cmd.Env = append(append(cleanEnv(dir), "KUBE_CACHE_MUTATION_DETECTOR=true", "LESSON_LEAKS_FILE="+leaks), o.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // shows where it hangs
	cmd.WaitDelay = 10 * time.Second
	out, in, err := os.Pipe() // one pipe for both, so that their order is kept
	if err != nil {
		return run, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = in, in
	if o.stderr != nil {
		cmd.Stderr = o.stderr
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return run, err
	}
	running := make(chan struct{})
	if o.signal != nil {
		proxy.Inject(observer.Match{From: o.at, To: o.at}, atRequest("signal", func() {
			<-running
			_ = cmd.Process.Signal(o.signal)
		}))
	}
	if err := cmd.Start(); err != nil {
		return run, err
	}
	close(running)
	_ = in.Close()
	if o.started != nil {
		o.started(cmd.Process)
	}

	var output, part []string
	at := 0       // the number of prompts seen
	current := "" // name of the step that runs
	cut := func() {
		record := proxy.Since(mark)
		if at == 0 {
			run.Setup = record
		} else if s, ok := parseStep(part); ok {
			s.Record, s.Name = record, current
			run.Steps = append(run.Steps, s)
			if o.leaving != nil {
				o.leaving(current)
			}
			if o.after != nil {
				o.after(s.Number)
			}
		}
		output, part = append(output, part...), nil
		at++
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		printed.Add(1)
		if m := namespaceLine.FindStringSubmatch(lines.Text()); m != nil {
			run.Namespace = m[1]
			if o.namespace != nil {
				*o.namespace = m[1]
			}
		}
		m := prompt.FindStringSubmatch(lines.Text())
		if m == nil {
			if !mutationWarning.MatchString(lines.Text()) {
				part = append(part, lines.Text())
			}
			continue
		}
		cut()
		current = m[1]
		if o.before != nil {
			o.before(at)
		}
		if o.entering != nil {
			o.entering(current)
		}
		mark = proxy.Mark()
		_, _ = fmt.Fprintln(stdin) // a lesson that has ended reads no more: its exit code tells
	}
	run.Output = strings.Join(append(output, part...), "\n") + "\n"
	err = cmd.Wait()
	run.Code = cmd.ProcessState.ExitCode()
	if o.signal == os.Kill && run.Code == -1 {
		return run, nil
	}
	if left, e := os.ReadFile(leaks); e != nil || len(left) > 0 {
		t.Errorf("lesson %s left goroutines: %v\n%s", name, e, left)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		err = nil
	}
	return run, err
}

// cleanEnv is an environment in which nothing of this machine's user points to a cluster.
func cleanEnv(home string) []string {
	return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"),
		"GORACE=atexit_sleep_ms=0"} // by default the race detector keeps each process a second longer
}

// contextName is what a learner's context is called on this provider.
func contextName() string {
	if lab.provider == "local" {
		return "local-client-go-lessons"
	}
	return "kind-client-go-lessons"
}

var heading = regexp.MustCompile(`^(\d+) +(\S.*?)(?: {2,}(N\d+(?: N\d+)*))?$`)

// parseStep finds a step's heading, and the lines below it.
func parseStep(lines []string) (s step, ok bool) {
	for i, line := range lines {
		if m := heading.FindStringSubmatch(line); m != nil {
			s.Number, _ = strconv.Atoi(m[1])
			s.Title, s.Claims = m[2], strings.Fields(m[3])
			for _, line := range lines[i+1:] {
				if line = strings.TrimSpace(line); line != "" {
					s.Lines = append(s.Lines, line)
				}
			}
			return s, true
		}
	}
	return s, false
}

// Step returns the step of that name, or title.
func (r lessonRun) Step(t *testing.T, name string) step {
	t.Helper()
	for _, s := range r.Steps {
		if s.Name == name || s.Title == name {
			return s
		}
	}
	t.Fatalf("lesson %s has no step %q:\n%s", r.Name, name, r.Output)
	return step{}
}

// Find returns what the groups of a regular expression match in the step's text. It fails the test
// when nothing matches.
func (s step) Find(t *testing.T, expr string) []string {
	t.Helper()
	m := regexp.MustCompile(expr).FindStringSubmatch(strings.Join(s.Lines, "\n"))
	if m == nil {
		t.Fatalf("step %q says nothing that matches %q:\n%s", s.Title, expr, strings.Join(s.Lines, "\n"))
	}
	return m[1:]
}

// Int is Find for one number.
func (s step) Int(t *testing.T, expr string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(s.Find(t, expr)[0], ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// printedWire is a line such as "wire: 1 LIST + 2 GET, 1 new connection (HTTP/2), 2.9 kB".
type printedWire struct {
	Requests    map[string]int
	Connections int
	Bytes       string // of the answers, and of the events of a watch that was open before
}

// Wires returns the step's wire lines.
func (s step) Wires(t *testing.T) (wires []printedWire) {
	t.Helper()
	line := regexp.MustCompile(`^wire: (.*), (\d+) new connections?(?: \(\S+\))?, (.*)$`)
	for _, l := range s.Lines {
		if l == "wire: 0 requests" {
			wires = append(wires, printedWire{Requests: map[string]int{}, Bytes: "0 B"})
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		w := printedWire{Requests: map[string]int{}, Bytes: m[3]}
		w.Connections, _ = strconv.Atoi(m[2])
		for part := range strings.SplitSeq(m[1], " + ") {
			count, verb, _ := strings.Cut(part, " ")
			w.Requests[strings.ToLower(verb)], _ = strconv.Atoi(count)
		}
		wires = append(wires, w)
	}
	return wires
}

// onWire is what the observer recorded, in the words of a wire line.
func onWire(r observer.Record) printedWire {
	w := printedWire{Requests: map[string]int{}, Connections: r.Opened, Bytes: byteCount(r.Bytes())}
	for _, request := range r.Requests {
		verb := request.Verb
		if verb == "" {
			verb = "other"
		}
		w.Requests[verb]++
	}
	return w
}

// withEvents adds what came by a watch that was open before.
func (w printedWire) withEvents(bytes int64) printedWire {
	if bytes > 0 {
		w.Bytes += " + " + byteCount(bytes) + " events"
	}
	return w
}

// byteCount writes n as lessons do.
func byteCount(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1_000_000)
}

// mutationWarning is what client-go logs for each informer when its mutation detector is on.
var mutationWarning = regexp.MustCompile(`^W\d{4} .*Mutation detector is enabled`)

// assess makes an assessment of a check.
func assess(check func(*testing.T)) features.Func {
	return func(ctx context.Context, t *testing.T, _ *envconf.Config) context.Context {
		noteFailure(t)
		check(t)
		return ctx
	}
}

// configMaps keeps the requests for ConfigMaps.
func configMaps(r observer.Record) observer.Record { return r.Verb("", "configmaps") }

// lessonNames are the lessons there are.
func lessonNames() (names []string) {
	mains, _ := filepath.Glob("../lessons/*/main.go") // the pattern is well-formed
	for _, main := range mains {
		names = append(names, filepath.Base(filepath.Dir(main)))
	}
	return names
}

// binary builds a lesson once, under RACE=1 with the race detector.
func binary(t *testing.T, name string) string {
	t.Helper()
	lab.building.Lock()
	defer lab.building.Unlock()
	if path, ok := lab.binaries[name]; ok {
		return path
	}
	args := []string{"-ldflags=-s -w"} // debug information is a large part of a link
	if os.Getenv("RACE") == "1" {
		args = append(args, "-race")
	}
	path := filepath.Join(lab.dir, "bin", name)
	if err := goBuild("..", append(args, "-o", path, "./lessons/"+name)...); err != nil {
		t.Fatal(err)
	}
	lab.binaries[name] = path
	return path
}

func clientGoVersion() string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "k8s.io/client-go").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
