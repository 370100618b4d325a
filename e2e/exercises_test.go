package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"client-go-lessons/internal/judge"
)

// symptoms are what the judge says of each exercise as it is shipped, and of no other.
var symptoms = map[string]*regexp.Regexp{
	"01": regexp.MustCompile(`client-go held them back`),
	"02": regexp.MustCompile(`printed \d+ changes more that nobody made, and it went on`),
	"03": regexp.MustCompile(`missed 1: DELETED gate\..* nobody made at that moment: ADDED door`),
	"04": regexp.MustCompile(`asked for them \d+ times all the same, and sent 0 LIST`),
	"05": regexp.MustCompile(`your program read before the answer was there`),
	"06": regexp.MustCompile(`opened 12 watches for 12 requests\. 1 is enough\. 12 of them are still open`),
	"07": regexp.MustCompile(`printed 0, and sent no request at all`),
	"08": regexp.MustCompile(`it panicked: .*DeletedFinalStateUnknown.*, at main\.go:\d+`),
	"09": regexp.MustCompile(`On the server it is blue\..*changed an object that belongs to the cache|mutation detector`),
	"10": regexp.MustCompile(`all 12 events came over the wire\..* your handler was told of 0 of them`),
	"11": regexp.MustCompile(`sent 5 writes, and 5 were refused`),
	"12": regexp.MustCompile(`There are 2 children, .* sent 1 WATCH, 2 CREATE`),
}

// otherAnswers are right answers that differ from the solution ("" is what is said of them), and
// wrong ones that differ from the exercise as it is shipped.
var otherAnswers = map[string]string{
	"01-right-list":          "",
	"01-wrong-qps":           `client-go held them back`,
	"02-right-select":        "",
	"03-right-retrywatcher":  "",
	"04-right-any-error":     "",
	"04-wrong-isgone":        `asked for them \d+ times all the same`,
	"05-wrong-sleep":         `your program read before the answer was there`,
	"08-right-key":           "",
	"08-wrong-dropped":       `told that the gate is gone, by a tombstone\. Your program never printed it`,
	"09-wrong-always-writes": `changed an object that belongs to the cache: client-go's mutation detector`,
	"10-right-channel":       "",
	"11-right-wait":          "",
	"11-wrong-overwrite":     `wrote over what the judge had added`,
	"12-right-live":          "",
	"12-wrong-exists":        `There is 1 child, as it should be\. But it ended with exit code 1: call 2: .*already exists`,
}

// TestExercises: each exercise fails as it is shipped, with the symptom of its own bug; its solution
// passes; and so do other right answers, while other wrong ones are told what is wrong with them.
func TestExercises(t *testing.T) {
	before := goleak.IgnoreCurrent()
	verdicts := judgeAll(t)
	var all []features.Feature
	for _, e := range judge.All {
		feature := features.New("exercise "+e.Name).
			Assess("as shipped shows its own symptom", assess(func(t *testing.T) {
				v := verdicts["exercises/"+e.Name]
				if v.Solved {
					t.Fatalf("it passes: %s", v.Text)
				}
				for number, symptom := range symptoms {
					if symptom.MatchString(v.Text) != (number == e.Number()) {
						t.Errorf("want the symptom of %s, found that of %s: %t\n%s", e.Number(), number, symptom.MatchString(v.Text), v.Text)
					}
				}
			})).
			Assess("has a solution that passes", assess(func(t *testing.T) {
				if v := verdicts["exercises/"+e.Name+"/solution"]; !v.Solved {
					t.Errorf("%s\n%s", v.Text, strings.Join(v.Printed, "\n"))
				}
			}))
		for answer, want := range otherAnswers {
			if !strings.HasPrefix(answer, e.Number()) {
				continue
			}
			feature.Assess("judges "+answer, assess(func(t *testing.T) {
				v := verdicts[answers+answer]
				if v.Solved != (want == "") || want != "" && !regexp.MustCompile(want).MatchString(v.Text) {
					t.Errorf("solved: %t, want %q\n%s\n%s", v.Solved, want, v.Text, strings.Join(v.Printed, "\n"))
				}
			}))
		}
		all = append(all, feature.Feature())
	}
	all = append(all, features.New("the judge of the exercises").
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
	testenv.Test(t, all...)
}

const answers = "internal/judge/testdata/"

// judgeAll judges all there is, several at a time: most of a trial is waiting.
func judgeAll(t *testing.T) map[string]judge.Verdict {
	t.Helper()
	noteFailure(t)
	t.Setenv("TMPDIR", t.TempDir()) // what is left there, the judge has left
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	verdicts := map[string]judge.Verdict{}
	var mu sync.Mutex
	var group sync.WaitGroup
	linking, running := make(chan struct{}, 2), make(chan struct{}, 8)
	start := func(e judge.Exercise, folder string) {
		group.Go(func() {
			running <- struct{}{}
			defer func() { <-running }()
			path := filepath.Join(lab.dir, strings.ReplaceAll(folder, "/", "-"))
			defer func() { _ = os.Remove(path) }() // it is large
			linking <- struct{}{}
			err := judge.Build(ctx, "..", folder, path)
			<-linking
			var v judge.Verdict
			if err == nil {
				v, err = e.Judge(ctx, lab.config, path)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s: %v", folder, err)
			}
			verdicts[folder] = v
		})
	}
	for _, e := range judge.All {
		start(e, "exercises/"+e.Name)
		start(e, "exercises/"+e.Name+"/solution")
	}
	for answer := range otherAnswers {
		e, _ := judge.Find(answer[:2])
		start(e, answers+answer)
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return verdicts
}
