package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	"08": regexp.MustCompile(`your program panicked: .*DeletedFinalStateUnknown.*, at main\.go:\d+`),
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
	"06-right-informer":      "",
	"06-wrong-shutdown":      `opened 12 watches for 12 requests\. 1 is enough`,
	"07-right-again":         "",
	"07-wrong-no-wait":       `or it did not wait|Had the cache synced when it listed\?`,
	"08-right-key":           "",
	"08-wrong-dropped":       `told that the gate is gone, by a tombstone\. Your program never printed it`,
	"09-wrong-always-writes": `changed an object that belongs to the cache: client-go's mutation detector`,
	"10-right-channel":       "",
	"11-right-wait":          "",
	"11-wrong-overwrite":     `wrote over what the judge had added`,
	"12-right-live":          "",
	"12-wrong-exists":        `There is 1 child, as it should be\. But your program ended with exit code 1: call 2: .*already exists`,
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
	exercises := map[string]judge.Exercise{} // by folder
	for _, e := range judge.All {
		exercises["exercises/"+e.Name], exercises["exercises/"+e.Name+"/solution"] = e, e
	}
	for answer := range otherAnswers {
		exercises[answers+answer], _ = judge.Find(answer[:2])
	}
	programs := linkAll(t, slices.Sorted(maps.Keys(exercises)))

	t.Setenv("TMPDIR", t.TempDir()) // what is left there, the judge has left
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	verdicts := map[string]judge.Verdict{}
	var mu sync.Mutex
	var group sync.WaitGroup
	tokens := make(chan struct{}, 8)
	judgeOne := func(folder string) {
		e := exercises[folder]
		group.Go(func() {
			tokens <- struct{}{}
			defer func() { <-tokens }()
			v, err := e.Judge(ctx, lab.config, programs[folder])
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s: %v", folder, err)
			}
			verdicts[folder] = v
		})
	}
	// Exercise 01 is about time alone, so it goes first, with nothing beside it.
	isFirst := func(folder string) bool { return exercises[folder].Number() == "01" }
	for _, first := range []bool{true, false} {
		for folder := range exercises {
			if isFirst(folder) == first {
				judgeOne(folder)
			}
		}
		group.Wait()
	}
	if t.Failed() {
		t.FailNow()
	}
	return verdicts
}

// linkAll makes one program of those in the folders: linking client-go to each of them would take
// more time than all the rest. Each becomes a package with its main function exported, and the one
// program is each of them under another name.
func linkAll(t *testing.T, folders []string) (programs map[string]string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// Files that are nowhere but in the compiler's eyes.
	virtual := filepath.Join(root, "exercises", "all")
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	add := func(path, text string) {
		file := filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay.Replace)))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(virtual, path)] = file
	}
	var imports, cases strings.Builder
	programs = map[string]string{}
	for i, folder := range folders {
		source, err := os.ReadFile(filepath.Join(root, folder, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("x%d", i)
		text := strings.Replace(string(source), "\npackage main\n", "\npackage "+name+"\n", 1)
		text = strings.Replace(text, "\nfunc main() ", "\nfunc Main() ", 1)
		add(filepath.Join(name, "main.go"), text)
		fmt.Fprintf(&imports, "import %q\n", "client-go-lessons/exercises/all/"+name)
		fmt.Fprintf(&cases, "case %q: %s.Main()\n", name, name)
		programs[folder] = filepath.Join(dir, name)
	}
	add("main.go", "package main\n\nimport \"os\"\nimport \"path/filepath\"\n"+imports.String()+
		"\nfunc main() {\nswitch filepath.Base(os.Args[0]) {\n"+cases.String()+"}\n}\n")
	raw, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	overlayFile, all := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "all")
	if err := os.WriteFile(overlayFile, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", overlayFile, "-o", all, "./exercises/all")
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, said)
	}
	for _, path := range programs {
		if err := os.Link(all, path); err != nil {
			t.Fatal(err)
		}
	}
	return programs
}
