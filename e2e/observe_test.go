package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/internal/advice"
	workspace "client-go-lessons/internal/cluster"
	"client-go-lessons/internal/exercise"
	"client-go-lessons/internal/observer"
)

// bugs are the exercises whose bug shows on the wire: the rule that names it, and what has to happen
// for it to show. Exercise 08 is missing: its program panics, and has sent nothing wrong till then.
var bugs = []struct {
	number, rule string
	happen       func(*observed)
}{
	{"01", "held-back", (*observed).waitForExit},
	{"02", "watch-ended", func(x *observed) {
		x.inject(watches, 1, observer.EndAfterEvents(3))
		x.start()
		x.wait(anOpenWatch(1))
		for i := range 3 {
			x.paint("door", i)
		}
		x.wait(func(r observer.Record) bool { return r.Verb("watch", "").Count() > r.Verb("watch", "").Open().Count() })
	}},
	{"03", "watch-from-nowhere", func(x *observed) {
		x.inject(watches, 1, observer.EndAfterEvents(1))
		x.start()
		x.wait(anOpenWatch(1))
		x.paint("door", 1)
		x.wait(anOpenWatch(2))
	}},
	{"04", "gone-again", func(x *observed) {
		x.inject(watches, 2, observer.ExpireAfterEvents(0))
		x.start()
		x.wait(anOpenWatch(3))
	}},
	{"05", "nothing-read", (*observed).waitForExit},
	{"06", "same-watch", func(x *observed) {
		x.start()
		x.wait(func(r observer.Record) bool { return r.Open().Verb("watch", "").Count() == 12 })
	}},
	{"07", "nothing-read", (*observed).waitForExit},
	{"09", "write-left", func(x *observed) {
		x.inject(isWrite, 1, observer.ServerError())
		x.start()
		x.wait(endedWrites(1))
	}},
	{"10", "empty-write", func(x *observed) {
		write := observer.NewGate()
		x.inject(isWrite, 1, observer.HoldRequest(write))
		x.start()
		x.wait(synced)
		x.paint("door", 0)
		x.wait(func(r observer.Record) bool { return r.Where(isWrite).Count() == 1 })
		for i := range 12 {
			x.paint("door", i+1)
		}
		x.wait(func(r observer.Record) bool { return r.Events()[watch.Modified] >= 13 })
		write.Open()
		x.wait(endedWrites(12))
	}},
	{"11", "conflict-again", func(x *observed) { x.staleFromFirstWrite("counter", endedWrites(2)) }},
	{"12", "created-twice", func(x *observed) { x.staleFromFirstWrite("", endedWrites(2)) }},
}

func watches(r observer.Request) bool { return r.Verb == "watch" }
func isWrite(r observer.Request) bool {
	return slices.Contains([]string{"create", "update", "patch"}, r.Verb)
}

func endedWrites(n int) func(observer.Record) bool {
	return func(r observer.Record) bool {
		return r.Where(func(q observer.Request) bool { return isWrite(q) && !q.Open }).Count() >= n
	}
}

// anOpenWatch tells whether the n-th watch, or a later one, is open and answered.
func anOpenWatch(n int) func(observer.Record) bool {
	return func(r observer.Record) bool {
		all := r.Verb("watch", "").Requests
		return len(all) >= n && all[len(all)-1].Open && all[len(all)-1].Status == http.StatusOK
	}
}

func synced(r observer.Record) bool { return r.Events()[watch.Bookmark] > 0 }

// TestObserveNamesTheBug: what observe says of an exercise names its bug, and of its solution, to
// which the same happens, it says nothing.
func TestObserveNamesTheBug(t *testing.T) {
	noteFailure(t)
	folders := map[string]string{}
	sources := map[string]string{}
	for _, bug := range bugs {
		found, _ := filepath.Glob("../exercises/" + bug.number + "-*")
		if len(found) != 1 {
			t.Fatalf("exercise %s: %v", bug.number, found)
		}
		folders[bug.number] = found[0]
		sources[bug.number+" shipped"] = readFile(t, filepath.Join(found[0], "shipped", "main.go"))
		sources[bug.number+" solution"] = readFile(t, filepath.Join(found[0], "solution", "main.go"))
	}
	programs := linkAll(t, sources)
	said := map[string][]advice.Advice{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for i, bug := range bugs {
		for _, which := range []string{"shipped", "solution"} {
			name := bug.number + " " + which
			group.Go(func() {
				found := runObserved(t, folders[bug.number], programs[name], which == "shipped", bug.happen)
				mu.Lock()
				defer mu.Unlock()
				said[name] = found
			})
			if i == 0 {
				group.Wait() // exercise 01 is about time alone, so nothing runs beside it
			}
		}
	}
	group.Wait()
	var all []features.Feature
	for _, bug := range bugs {
		all = append(all, features.New("observe and exercise "+bug.number).
			Assess("names the bug as "+bug.rule, assess(func(t *testing.T) {
				if !slices.ContainsFunc(said[bug.number+" shipped"], func(a advice.Advice) bool { return a.Rule == bug.rule }) {
					t.Errorf("it says %+v", said[bug.number+" shipped"])
				}
			})).
			Assess("is silent of the solution", assess(func(t *testing.T) {
				if found := said[bug.number+" solution"]; len(found) > 0 {
					t.Errorf("it says %+v", found)
				}
			})).Feature())
	}
	testenv.Test(t, all...)
}

// TestObserveIsSilentOfTheTechniques: there is nothing to say of the technique that each lesson
// opens with.
func TestObserveIsSilentOfTheTechniques(t *testing.T) {
	var all []features.Feature
	for _, name := range lessonNames() {
		all = append(all, features.New("observe and lesson "+name).
			Assess("has nothing to say of its technique", assess(func(t *testing.T) {
				proxy, seen := observe(t)
				var process *os.Process
				var found []advice.Advice
				var requests int
				_, _ = tryLesson(t, name, runOptions{
					proxy:   proxy,
					started: func(p *os.Process) { process = p },
					entering: func(string) { // the technique has run by the first prompt
						if requests == 0 {
							requests = proxy.Since(observer.Mark{}).Count()
							found = advice.Of(seen(false))
							_ = process.Signal(os.Interrupt)
						}
					},
				})
				if requests == 0 || len(found) > 0 {
					t.Errorf("of %d requests it says %+v", requests, found)
				}
			})).Feature())
	}
	testenv.Test(t, all...)
}

// observe starts an observer of its own. seen returns what there is for the advice to read.
func observe(t *testing.T) (proxy *observer.Observer, seen func(ended bool) advice.Seen) {
	t.Helper()
	proxy, err := observer.Start(lab.config, observer.WithDetails())
	if err != nil {
		t.Fatal(err)
	}
	changes := proxy.Follow(context.Background()) // ends when the observer is closed
	var mu sync.Mutex
	var events []observer.Change
	var followed sync.WaitGroup
	followed.Go(func() {
		for c := range changes {
			if c.What == observer.Event {
				mu.Lock()
				events = append(events, c)
				mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
		followed.Wait()
	})
	return proxy, func(ended bool) advice.Seen {
		mu.Lock()
		defer mu.Unlock()
		return advice.Seen{Requests: proxy.Since(observer.Mark{}).Requests, Events: slices.Clone(events), End: time.Now(), Ended: ended}
	}
}

// observed is an exercise's program that runs under an observer.
type observed struct {
	t         *testing.T
	path      string
	namespace string
	proxy     *observer.Observer
	seen      func(ended bool) advice.Seen
	shipped   bool
	cmd       *exec.Cmd
	stdin     io.Closer
	exited    context.Context // ends with the program
}

// runObserved runs a program on its exercise's stage, lets things happen to it, and returns the
// advice.
func runObserved(t *testing.T, folder, path string, shipped bool, happen func(*observed)) []advice.Advice {
	t.Helper()
	about, err := exercise.Read(folder)
	if err != nil {
		t.Error(err)
		return nil
	}
	x := &observed{t: t, path: path, shipped: shipped}
	x.proxy, x.seen = observe(t)
	namespace, remove, err := workspace.Scratch(t.Context(), &workspace.Cluster{Config: lab.config}, "exercise", filepath.Base(folder), about.Stage)
	defer func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		t.Error(err)
		return nil
	}
	x.namespace = namespace
	happen(x)
	// Some rules are about what a program does not do for some time. That time has to pass.
	select {
	case <-x.exited.Done():
	case <-time.After(3 * time.Second):
	}
	ended := x.exited.Err() != nil
	seen := x.seen(ended)
	_ = x.cmd.Process.Kill()
	_ = x.stdin.Close()
	<-x.exited.Done()
	return advice.Of(seen)
}

// start starts the program.
func (x *observed) start() {
	dir := x.t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := x.proxy.Kubeconfig(kubeconfig, "observed"); err != nil {
		x.t.Fatal(err)
	}
	x.cmd = exec.Command(x.path)
	x.cmd.Dir = dir
	x.cmd.Env = append(cleanEnv(dir), "KUBECONFIG="+kubeconfig, exercise.NamespaceEnv+"="+x.namespace)
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if x.stdin, err = x.cmd.StdinPipe(); err != nil {
		x.t.Fatal(err)
	}
	if err := x.cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	ctx, exited := context.WithCancel(context.Background())
	x.exited = ctx
	go func() {
		_ = x.cmd.Wait() // it may be killed
		exited()
	}()
}

func (x *observed) waitForExit() {
	x.start()
	<-x.exited.Done()
}

// wait waits until done is true of the requests for ConfigMaps, or the program has ended. A solution
// may never do what the program as shipped does.
func (x *observed) wait(done func(observer.Record) bool) {
	patience := time.Minute // only a program that hangs needs it
	if !x.shipped {
		patience = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(x.exited, patience)
	defer cancel()
	_, err := x.proxy.Wait(ctx, observer.Mark{}, func(r observer.Record) bool { return done(configMaps(r)) })
	if err != nil && x.shipped && x.exited.Err() == nil {
		x.t.Error(err)
	}
}

func (x *observed) inject(which func(observer.Request) bool, times int, fault observer.Fault) {
	x.proxy.Inject(observer.Match{Resource: "configmaps", Func: which, To: times}, fault)
}

// paint changes a ConfigMap, past the observer.
func (x *observed) paint(name string, n int) {
	configMaps := lab.client.CoreV1().ConfigMaps(x.namespace)
	cm, err := configMaps.Get(x.t.Context(), name, metav1.GetOptions{})
	if err == nil {
		if cm.Data == nil {
			cm.Data = map[string]string{}
		}
		cm.Data["color"] = fmt.Sprint("color-", n)
		_, err = configMaps.Update(x.t.Context(), cm, metav1.UpdateOptions{})
	}
	if err != nil {
		x.t.Error(err)
	}
}

// staleFromFirstWrite lets the program's cache hear of nothing from its first write on, and changes
// this ConfigMap before the write arrives.
func (x *observed) staleFromFirstWrite(name string, done func(observer.Record) bool) {
	events, write := observer.NewGate(), observer.NewGate()
	events.Open()
	x.inject(watches, 0, observer.HoldBody(events))
	x.inject(isWrite, 1, observer.HoldRequest(write))
	x.start()
	x.wait(func(r observer.Record) bool { return r.Where(isWrite).Count() == 1 })
	events.Shut()
	if name != "" {
		x.paint(name, 1)
	}
	write.Open()
	x.wait(done)
	events.Open()
}
