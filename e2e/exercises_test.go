package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/exercises/plays"
	workspace "client-go-lessons/internal/cluster"
	"client-go-lessons/internal/judge"
)

// judged is a program that the judge has judged.
type judged struct {
	answer
	verdict judge.Verdict
}

// right tells whether the verdict is what it should be.
func (j judged) right() bool {
	if j.want == nil {
		return j.verdict.Solved
	}
	return !j.verdict.Solved && j.want.MatchString(j.verdict.Text)
}

// TestExercises judges, for each exercise, the program as it is shipped, its solution, other right
// and wrong answers, a program that does nothing, and programs that print what the solution printed
// in another run, without asking the server. Meanwhile the cluster adds ConfigMaps of its own.
func TestExercises(t *testing.T) {
	noteFailure(t)
	before := goleak.IgnoreCurrent()
	all, err := judge.List("..", plays.All)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir()) // what is left there, the judge has left
	results := judgeEverything(t, all)
	var table strings.Builder
	var feature []features.Feature
	for _, e := range all {
		if len(results[e.Name]) == 0 {
			continue // EXERCISES leaves it out
		}
		f := features.New("exercise " + e.Name)
		for _, j := range results[e.Name] {
			fmt.Fprintf(&table, "%-20s %-26s %-8s %.110s\n", e.Name, j.name, say(j.verdict.Solved), j.verdict.Text)
			f.Assess("tells "+j.name, assess(func(t *testing.T) {
				if !j.right() {
					t.Errorf("solved: %t, want %v\n%s\n%s", j.verdict.Solved, j.want, j.verdict.Text,
						strings.Join(j.verdict.Printed[:min(8, len(j.verdict.Printed))], "\n"))
				}
			}))
		}
		f.Assess("as shipped shows the symptom of no other exercise", assess(func(t *testing.T) {
			text := results[e.Name][0].verdict.Text
			for other, programs := range results {
				if other != e.Name && programs[0].want.MatchString(text) {
					t.Errorf("that of %s: %s", other, text)
				}
			}
		}))
		feature = append(feature, f.Feature())
	}
	t.Logf("Exercise, program and verdict:\n%s", table.String())
	feature = append(feature, features.New("the judge of the exercises").
		Assess("leaves no goroutine", assess(func(t *testing.T) {
			// The tests' own client keeps its connection.
			if err := goleak.Find(before, goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run"),
				goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop")); err != nil {
				t.Error(err)
			}
		})).
		Assess("and no file", assess(func(t *testing.T) {
			if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "client-go-lessons-exercise-*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})).Feature())
	testenv.Test(t, feature...)
}

func say(solved bool) string {
	if solved {
		return "Solved"
	}
	return "Not yet"
}

// judgeEverything judges all answers to all exercises, several at a time: most of a trial is
// waiting. The first of each exercise is the one as shipped.
func judgeEverything(t *testing.T, all []judge.Exercise) map[string][]judged {
	t.Helper()
	only := regexp.MustCompile(os.Getenv("EXERCISES")) // to judge fewer while you write one
	sources := map[string]string{"echo": readFile(t, "../internal/judge/testdata/echo/main.go")}
	answers := map[string][]answer{}
	for _, e := range all {
		if only.MatchString(e.Name) {
			answers[e.Name] = answersTo(t, e)
		}
		for _, a := range answers[e.Name] {
			sources[e.Name+" "+a.name] = a.source
		}
	}
	programs := linkAll(t, sources)

	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	var mesh sync.WaitGroup
	defer mesh.Wait()
	meshCtx, stopMesh := context.WithCancel(ctx)
	defer stopMesh()
	mesh.Go(func() { addWhatAMeshAdds(meshCtx) })

	results := map[string][]judged{}
	var mu sync.Mutex
	tokens := make(chan struct{}, 12)
	judgeOne := func(e judge.Exercise, a answer, path string) judged {
		tokens <- struct{}{}
		defer func() { <-tokens }()
		v, err := e.Judge(ctx, &workspace.Cluster{Config: lab.config}, path)
		if err != nil {
			t.Errorf("%s %s: %v", e.Name, a.name, err)
		}
		return judged{a, v}
	}
	judgeAll := func(e judge.Exercise) {
		found := make([]judged, len(answers[e.Name]))
		var group sync.WaitGroup
		for i, a := range answers[e.Name] {
			group.Go(func() { found[i] = judgeOne(e, a, programs[e.Name+" "+a.name]) })
		}
		group.Wait()
		for _, j := range found {
			if j.name == "solution" {
				for _, e2 := range echoes(t, programs["echo"], e, j.verdict.Printed) {
					group.Go(func() {
						j := judgeOne(e, e2.answer, e2.path)
						mu.Lock()
						defer mu.Unlock()
						found = append(found, j)
					})
				}
			}
		}
		group.Wait()
		mu.Lock()
		defer mu.Unlock()
		results[e.Name] = found
	}
	var group sync.WaitGroup
	for i, e := range all {
		if len(answers[e.Name]) == 0 {
			continue
		}
		group.Go(func() { judgeAll(e) })
		if i == 0 {
			group.Wait() // exercise 01 is about time alone, so nothing runs beside it
		}
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return results
}

// addWhatAMeshAdds adds ConfigMaps to each namespace that the judge makes, as the control plane of a
// service mesh does, at moments that have nothing to do with the judge's.
func addWhatAMeshAdds(ctx context.Context) {
	const most = 12 // in each
	added := map[string]int{}
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		list, err := lab.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: "client-go-lessons/lesson"})
		if err != nil {
			continue
		}
		for _, ns := range list.Items {
			if n := added[ns.Name]; n < most && ns.DeletionTimestamp == nil {
				cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("mesh-root-cert-%d", n)}}
				_, _ = lab.client.CoreV1().ConfigMaps(ns.Name).Create(ctx, cm, metav1.CreateOptions{}) // it may be gone
				added[ns.Name]++
			}
		}
	}
}
