package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"client-go-lessons/internal/observer"
)

// TestRestartBetweenSteps kills the API server while all lessons wait for Enter, and starts it
// again. Who pauses has nothing under way but watches: a lesson goes on as if nothing had happened,
// or says in two lines that the server no longer knows the moment that it wants to go on from.
//
// It goes wrong for everybody who works with the cluster at that moment, so it has no company.
func TestRestartBetweenSteps(t *testing.T) {
	restarts := 0
	once := func(string) bool { return restarts == 0 }
	where := once // make e2e: before the first step
	if slow() {
		if lab.provider == "kind" {
			t.Skip("the kubelet starts what is killed again and again later each time: 10 s, 20 s, up to 5 minutes")
		}
		where = func(string) bool { return true }
	}
	for _, run := range together(t, lessonNames(), where, func() {
		restarts++
		killServer(t)()
	}) {
		survived(t, run)
	}
	if restarts == 0 {
		t.Error("the server was not restarted")
	}
}

// restartMoment is when the server dies: a lesson's step sends the request that matches.
type restartMoment struct {
	lesson, step string
	match        observer.Match
}

// TestRestartWithinStep kills the API server when a lesson's step has done half of its requests: once
// with the request sent to the dead server, and once with the request held until the server is back.
// The two outages are apart, since a lesson gives up on a server that stays away.
func TestRestartWithinStep(t *testing.T) {
	slowTest(t)
	noteFailure(t)
	const prepared = 1 + 20 + 10 // ConfigMaps that lesson 04 starts with: app, item-00 and theirs-0 and so on
	create := observer.Match{Verb: "create", Resource: "configmaps", From: prepared + 2}
	restartWithin(t, lost, []restartMoment{
		{"01-direct", "again", observer.Match{Verb: "get", Name: "database", From: 6}},
		{"02-watch", "resume", observer.Match{Verb: "update", Name: "door", From: 1}},
		{"03-informer", "handlers", observer.Match{Verb: "delete", Name: "color", From: 1}},
		{"04-fallback", "create", create},
	})
	restartWithin(t, held, []restartMoment{
		// Lesson 01 has no row here: it has nothing open that a restart could break.
		{"02-watch", "resume", observer.Match{Verb: "update", Name: "door", From: 2}},
		{"02-watch", "retry-watcher", observer.Match{Verb: "update", Name: "door", From: 2}},
		{"03-informer", "handlers", observer.Match{Verb: "delete", Name: "color", From: 1}},
		{"04-fallback", "create", create},
	})
}

// What becomes of the request of that moment.
const (
	lost = "sent to the dead server"
	held = "held until the server is back"
)

func restartWithin(t *testing.T, what string, rows []restartMoment) {
	reached := make(chan int, len(rows))
	killed, back := make(chan struct{}), make(chan struct{})
	ended := make([]chan struct{}, len(rows))
	runs := make([]lessonRun, len(rows))
	errs := make([]error, len(rows))
	for i, row := range rows {
		proxy := ownObserver(t)
		row.match.To = row.match.From
		release := killed
		if what == held {
			release = back
			proxy.Inject(observer.Match{}, breaksAlone())
		}
		proxy.Inject(row.match, observer.NewFault("restart", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached <- i
				select {
				case <-release:
				case <-r.Context().Done():
				}
				next.ServeHTTP(w, r)
			})
		}))
		binary(t, row.lesson)
		ended[i] = make(chan struct{})
		go func() {
			defer close(ended[i])
			runs[i], errs[i] = tryLesson(t, row.lesson, runOptions{proxy: proxy, args: []string{"-step", row.step}})
		}()
	}
	for i := range rows {
		select {
		case <-reached:
		case <-ended[i]: // it hangs, and has been ended, or it does something else than its row says
			t.Error("a lesson did not come to its moment")
		}
	}
	start := killServer(t)
	close(killed)
	for i := range rows {
		if what == lost {
			<-ended[i]
		}
	}
	start()
	close(back)

	for i, row := range rows {
		<-ended[i]
		t.Run(row.lesson+" -step "+row.step+", a request "+what, func(t *testing.T) {
			noteFailure(t)
			run := runs[i]
			if errs[i] != nil {
				t.Fatalf("%v\n%s", errs[i], run.Output)
			}
			t.Logf("exit code %d\n%s", run.Code, tail(run.Output, 12))
			if what == held {
				survived(t, run)
				return
			}
			failure, farewell := errorLines(run.Output)
			if run.Code != 1 || len(failure) != 2 ||
				!strings.Contains(failure[0], "("+row.step+")") || !strings.Contains(failure[1], "make ") {
				t.Errorf("exit code %d, want 1 and two lines with the step and what to do:\n%s",
					run.Code, strings.Join(failure, "\n"))
			}
			// The server was still down when the lesson wanted to remove its namespace.
			want := "delete namespace " + run.Namespace
			if len(farewell) != 2 || !strings.Contains(farewell[1], want) {
				t.Errorf("it does not say how to remove its namespace (%s):\n%s",
					want, strings.Join(farewell, "\n"))
			}
			err := lab.client.CoreV1().Namespaces().Delete(t.Context(), run.Namespace, metav1.DeleteOptions{})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// breaksAlone is a load balancer that keeps a client's connection when it loses the one to the
// server: a watch ends, a new request fails, and one that it has not handed on yet can wait.
func breaksAlone() observer.Fault {
	return observer.NewFault("breaks alone", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if recover() != nil {
					panic(http.ErrAbortHandler) // ends this stream alone
				}
			}()
			next.ServeHTTP(w, r)
		})
	})
}

// survived says that a run ended well. Lesson 02 watches without an informer and may end otherwise,
// with two lines that say why: the server has forgotten the moment that it wanted to go on from, or
// is so young that it does not know its roles yet, which ends a RetryWatcher.
func survived(t *testing.T, run lessonRun) {
	t.Helper()
	failure, farewell := errorLines(run.Output)
	switch {
	case len(farewell) > 0:
		t.Errorf("lesson %s left its namespace:\n%s", run.Name, run.Output)
	case run.Code == 0:
	case run.Code == 1 && run.Name == "02-watch" && len(failure) == 2 &&
		strings.Contains(failure[0], "ended before its time"):
		t.Logf("lesson %s: %s", run.Name, strings.Join(failure, " "))
	case run.Code == 1 && run.Name == "02-watch" && len(failure) == 2 && (strings.Contains(failure[0], "too old resource version") && strings.Contains(failure[1], "List again") ||
		strings.Contains(failure[0], "forbidden") && strings.Contains(failure[1], "just started")):
		t.Logf("lesson %s: %s", run.Name, strings.Join(failure, " "))
	default:
		t.Errorf("lesson %s ended with exit code %d:\n%s", run.Name, run.Code, run.Output)
	}
	namespaceGoes(t, run.Namespace)
}

// errorLines finds the lesson's last words: what failed, and that the namespace is left behind.
// client-go's own log lines are neither.
func errorLines(output string) (failure, farewell []string) {
	into := (*[]string)(nil)
	for line := range strings.Lines(output) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case logLine.MatchString(line):
			continue
		case strings.HasPrefix(line, "Error: "):
			into = &failure
		case strings.HasPrefix(line, "namespace ") && strings.Contains(line, "is left behind"):
			into = &farewell
		}
		if into != nil {
			*into = append(*into, line)
		}
	}
	return failure, farewell
}

// together runs lessons side by side, each through an observer of its own. Whenever all of those
// that still run wait before a step for which where is true, it calls meet, then lets them go on.
func together(t *testing.T, names []string, where func(step string) bool, meet func()) []lessonRun {
	t.Helper()
	runs := make([]lessonRun, len(names))
	arrive, leave, end := make(chan struct{}), make(chan struct{}), make(chan error)
	for i, name := range names {
		proxy := ownObserver(t)
		binary(t, name)
		go func() {
			var err error
			runs[i], err = tryLesson(t, name, runOptions{proxy: proxy, entering: func(step string) {
				if where(step) {
					arrive <- struct{}{}
					<-leave
				}
			}})
			if err != nil {
				err = fmt.Errorf("lesson %s: %w\n%s", name, err, runs[i].Output)
			}
			end <- err
		}()
	}
	for running, waiting := len(names), 0; running > 0; {
		select {
		case <-arrive:
			waiting++
		case err := <-end:
			running--
			if err != nil {
				t.Error(err)
			}
		}
		if waiting > 0 && waiting == running {
			meet()
			for range waiting {
				leave <- struct{}{}
			}
			waiting = 0
		}
	}
	return runs
}

// killServer ends the API server by SIGKILL. The function that it returns waits until the cluster
// is whole again, having started the server if nobody else does. That takes more than five seconds,
// and has to: refusals of two servers that start right after one another look to an informer's error
// handler like one refusal that lasts.
func killServer(t *testing.T) (start func()) {
	t.Helper()
	var kill func() error
	up := func() error { return nil }
	switch c := cluster.(type) {
	case *localCluster:
		kill, up = c.kill, func() error { _, err := c.Create(t.Context()); return err }
	case nil:
		t.Skip("the cluster is not this test's: E2E_CLUSTER=existing")
	default:
		kill = killOnKind
	}
	// The server is dead when this watch ends.
	w, err := lab.client.CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if err := kill(); err != nil {
		t.Fatal(err)
	}
	for range w.ResultChan() { //nolint:revive // what happens meanwhile is of no interest
	}
	return func() {
		t.Helper()
		if err := up(); err != nil {
			t.Fatal(err)
		}
		clusterIsWhole(t)
	}
}

// kill ends the one process of the control plane.
func (l *localCluster) kill() error {
	out, err := exec.Command(l.tool, "status", "-o", "json", "--dir", l.dir).Output()
	if err != nil {
		return fmt.Errorf("cluster status: %w: %s", err, out)
	}
	var status struct{ PID int }
	if err := json.Unmarshal(out, &status); err != nil {
		return fmt.Errorf("cluster status: %w: %s", err, out)
	}
	process, err := os.FindProcess(status.PID)
	if err != nil {
		return err
	}
	return process.Kill()
}

// killOnKind ends the API server's container in the node. The kubelet starts another.
func killOnKind() error {
	node := clusterName + "-control-plane"
	ctr := func(args ...string) (string, error) {
		args = append([]string{"exec", node, "ctr", "--namespace", "k8s.io"}, args...)
		out, err := exec.Command(lab.engine, args...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%s %v: %w: %s", lab.engine, args, err, out)
		}
		return string(out), nil
	}
	ids, err := ctr("containers", "ls", "-q", `labels."io.kubernetes.container.name"==kube-apiserver`)
	if err != nil {
		return err
	}
	tasks, err := ctr("tasks", "ls")
	if err != nil {
		return err
	}
	for task := range strings.Lines(tasks) {
		field := strings.Fields(task)
		if len(field) == 3 && field[2] == "RUNNING" && slices.Contains(strings.Fields(ids), field[0]) {
			_, err := ctr("tasks", "kill", "--signal", "SIGKILL", field[0])
			return err
		}
	}
	return fmt.Errorf("no container of the API server runs in %s:\n%s\n%s", node, ids, tasks)
}

// clusterIsWhole waits until the server is ready and the controllers do their work: one has put its
// ConfigMap into a new namespace, another has removed the namespace. The latter takes its time: it
// lets five seconds pass (k8s.io/kubernetes/pkg/controller/namespace, v1.37.1).
func clusterIsWhole(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	until := func(what string, done func() error) {
		t.Helper()
		var last error
		err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
			last = done()
			return last == nil, nil
		})
		if err != nil {
			t.Fatalf("%s: %v: %v", what, err, last)
		}
	}
	until("the server does not get ready", func() error {
		return lab.client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
	var ns *corev1.Namespace
	until("cannot make a namespace", func() (err error) {
		ns, err = lab.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "client-go-lessons-e2e-"},
		}, metav1.CreateOptions{})
		return err
	})
	until("no controller fills it", func() error {
		_, err := lab.client.CoreV1().ConfigMaps(ns.Name).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		return err
	})
	until("cannot delete it", func() error {
		return lab.client.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{})
	})
	namespaceGone(t, ns.Name)
}

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
