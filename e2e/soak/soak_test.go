package soak

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"client-go-lessons/internal/observer"
)

var lessons = []string{"01-direct", "02-watch", "03-informer", "04-fallback"}

// TestAPlanFollowsFromSeedAndRun: so that a run that went wrong can be repeated.
func TestAPlanFollowsFromSeedAndRun(t *testing.T) {
	differ := 0
	for run := range 500 {
		p := New(7, run, lessons)
		if again := New(7, run, lessons); !reflect.DeepEqual(p, again) {
			t.Fatalf("run %d: %s, and then %s", run, p, again)
		}
		if other := New(8, run, lessons); !reflect.DeepEqual(p.Faults, other.Faults) {
			differ++
		}
	}
	if differ < 250 {
		t.Errorf("with another seed, %d of 500 runs have other faults, want most", differ)
	}
}

// TestEverythingHappens: in as many runs as half an hour has, no lesson, kind or signal is left out.
func TestEverythingHappens(t *testing.T) {
	seen := map[string]int{}
	for run := range 400 {
		p := New(1, run, lessons)
		seen[p.Lesson]++
		seen[p.Signal.Name]++
		if p.HTTP1 {
			seen[http1]++
		}
		if p.Mild() {
			seen["mild"]++
		}
		if len(p.Faults) == 0 {
			seen["no fault"]++
		}
		for _, f := range p.Faults {
			seen[f.Kind]++
			if f.From < 1 || f.To < f.From {
				t.Errorf("%s: it hits no request", p)
			}
		}
	}
	for _, what := range slices.Concat(lessons, Kinds(), []string{"INT", "TERM", "KILL", "mild", "no fault"}) {
		if seen[what] == 0 {
			t.Errorf("%s never happens in 400 runs", what)
		}
	}
	if n := seen["KILL"]; n > 40 {
		t.Errorf("SIGKILL in %d of 400 runs: it should be rare", n)
	}
}

// TestOnlyMildFaultsAreMild: what client-go gets over is written down once, in kinds.go; here are
// some of its limits.
func TestOnlyMildFaultsAreMild(t *testing.T) {
	mild := map[string]bool{}
	for run := range 5000 {
		for _, f := range New(3, run, lessons).Faults {
			if f.Mild {
				mild[f.Kind] = true
			}
			if f.Mild && f.Kind == "500" && f.Verb != "watch" {
				t.Fatalf("client-go does not retry a 500: %s", f)
			}
			if f.Mild && f.Kind == "reset at once" && !slices.Contains([]string{"get", "list", "watch"}, f.Verb) {
				t.Fatalf("client-go does not retry a write: %s", f)
			}
		}
	}
	for kind, want := range map[string]bool{
		"429 with Retry-After": true, "watch cut": true, "delay": true,
		"403": false, "404": false, "no answer": false, "answer truncated": false, "bookmarks only": false,
	} {
		if mild[kind] != want {
			t.Errorf("%s is mild: %t, want %t", kind, mild[kind], want)
		}
	}
}

// TestEveryKindHasAFault: and the record tells it from others.
func TestEveryKindHasAFault(t *testing.T) {
	var o observer.Observer
	for _, k := range kinds {
		p := Plan{Faults: []Fault{{Kind: k.name, Verb: "watch", Resource: "configmaps", From: 1, To: 1, Wait: time.Second}}}
		hits := p.Inject(&o, func(os.Signal) {})
		made := k.fault(p.Faults[0], &o)
		record := observer.Record{Requests: []observer.Request{{Injected: "held+" + made.Name()}, {Injected: "else"}}}
		if n := hits(record)[k.name]; n != 1 {
			t.Errorf("%s: %d hits in the record, want 1", k.name, n)
		}
	}
	for kind := range endless {
		if !slices.Contains(Kinds(), kind) {
			t.Errorf("there is no kind %q", kind)
		}
	}
	for _, kind := range breaking {
		if !slices.Contains(Kinds(), kind) {
			t.Errorf("there is no kind %q", kind)
		}
	}
}

func TestJudge(t *testing.T) {
	const good = "cluster    here · Kubernetes v1\nnamespace  lesson-01-abcde, made for this run\n" +
		"   wire: 2 LIST + 1 GET, 1 new connection (HTTP/2), 2.9 kB\nWhat you can now say\n"
	const log = "W1122 05:00:00.000001       1 reflector.go:1] watch ended err=<\n\tone\n >\n"
	harsh := Plan{Faults: []Fault{{Kind: "500"}}}
	mild := Plan{Faults: []Fault{{Kind: "delay", Mild: true}}}
	interrupted := Plan{Signal: Signal{"INT", 3}}
	sent := map[string]int{"list": 2, "get": 1}
	for _, c := range []struct {
		name string
		plan Plan
		r    Result
		want Outcome
		says string // of what is wrong, "" if nothing
	}{
		{"it comes to its end", mild, Result{Stdout: good, Stderr: log}, Survived, ""},
		{"it breaks off and calls it success", mild, Result{Stdout: "namespace"}, Survived, "without coming to its end"},
		{"it succeeds and complains", mild, Result{Stdout: good, Stderr: "oh\n"}, Survived, "yet wrote"},
		{"it fails and says why", harsh, Result{Code: 1, Stderr: log + "Error: step 3: list ConfigMaps: no.\n"}, Failed, ""},
		{"it fails where it must not", mild, Result{Code: 1, Stderr: "Error: list ConfigMaps: no\n"}, Failed, "got over it"},
		{"it fails without a word", harsh, Result{Code: 1}, Failed, "0 lines"},
		{"it fails in many words", harsh, Result{Code: 1, Stderr: "a\nb\nc\n"}, Failed, "3 lines"},
		{"it fails in vague words", harsh, Result{Code: 1, Stderr: "Error: step 3: context canceled.\n"}, Failed, "does not say"},
		{"it fails twice", harsh, Result{Code: 1, Stderr: "Error: a: b.\nc\nnamespace x is left behind: d.\n" +
			"Remove it with: kubectl delete namespace x\n"}, Failed, ""},
		{"it hangs", harsh, Result{Code: -1, Hung: true}, Failed, "hung"},
		{"it panics", harsh, Result{Code: 2, Stderr: "panic: x\n\ngoroutine 1 [running]:\n"}, "", "panic"},
		{"it races", harsh, Result{Code: 66, Stdout: good, Stderr: "WARNING: DATA RACE\n"}, "", "DATA RACE"},
		{"it has an exit code of its own", harsh, Result{Code: 3}, "", "exit code 3"},
		{"it is interrupted", interrupted, Result{Code: 130, Signaled: true, Stderr: "Interrupted. Namespace x is deleted.\n"}, Interrupted, ""},
		{"it is interrupted in silence", interrupted, Result{Code: 130, Signaled: true}, Interrupted, "farewell"},
		{"it says that it was interrupted, and was not", interrupted, Result{Code: 130}, "", "exit code 130"},
		{"it is killed", Plan{Signal: Signal{"KILL", 1}}, Result{Code: -1, Signaled: true, Unreported: true}, Killed, ""},
		{"it dies unkilled", harsh, Result{Code: -1}, "", "exit code -1"},
		{"it leaves goroutines", mild, Result{Stdout: good, Leaks: "goroutine 9"}, Survived, "left goroutines"},
		{"it does not report them", mild, Result{Stdout: good, Unreported: true}, Survived, "no report"},
		{"it counts too much", mild, Result{Stdout: strings.Replace(good, "2 LIST", "3 LIST", 1)}, Survived, "counted 3 requests to list, 2 were sent"},
		{"it names another version", mild, Result{Stdout: good, Version: "v2"}, Survived, "another version"},
		{"it blames the server", mild, Result{Stdout: good + "This server does not stream lists"}, Survived, "not so"},
		{"it blames HTTP/1.1", mild, Result{Stdout: good + "there is no HTTP/2 between you and the server"}, Survived, "not so"},
		{"it blames HTTP/1.1 rightly", Plan{HTTP1: true}, Result{Stdout: good + "there is no HTTP/2 between you and the server"}, Survived, ""},
	} {
		if c.r.Version == "" {
			c.r.Version = "v1"
		}
		c.r.Sent = sent
		got, wrong := Judge(c.plan, c.r)
		all := strings.Join(wrong, "; ")
		if got != c.want || (c.says == "") != (len(wrong) == 0) || !strings.Contains(all, c.says) {
			t.Errorf("%s: %q, %q; want %q, %q", c.name, got, all, c.want, c.says)
		}
	}
}

func TestReport(t *testing.T) {
	var r Report
	r.Add(Plan{Lesson: "01-direct"}, Survived, map[string]int{"500": 2}, nil)
	r.Add(Plan{Lesson: "01-direct", Signal: Signal{"KILL", 1}}, Killed, map[string]int{"500": 1, "403": 5}, nil)
	if !r.Good() || r.Mild != 1 {
		t.Errorf("good %t, %d mild runs; want true and 1", r.Good(), r.Mild)
	}
	r.Add(Plan{Lesson: "02-watch"}, Survived, nil, &Failure{Run: 3})
	if r.Good() {
		t.Error("a soak with a failure is not good")
	}
	r.Server = []Server{{}, {5 * time.Minute, 500, 200, 100, 3000}}
	text := r.Markdown()
	for _, want := range []string{"| 5m0s | 500 MB | 200 MB | 100 MB | 3000 |", "| 01-direct | 2 | 1 | 0 | 0 | 1 | 0 |", "| 02-watch | 1 | 0 | 0 | 0 | 0 | 1 |", "| 403 | 5 |\n| 500 | 3 |"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in:\n%s", want, text)
		}
	}
	if line := r.Line(90 * time.Second); line != "soak: 1m30s, 3 runs: 1 survived, 0 failed clearly, 0 interrupted, 1 killed, 1 wrong" {
		t.Error(line)
	}
}

// TestClaimsArePrinted: what the judge watches for is what lessons print, in these words.
func TestClaimsArePrinted(t *testing.T) {
	var sources strings.Builder
	for _, pattern := range []string{"../../lessons/*/*.go", "../../internal/lesson/*.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatal(pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(text)
		}
	}
	for _, c := range claims {
		if !strings.Contains(sources.String(), c.sentence) {
			t.Errorf("no lesson prints %q", c.sentence)
		}
	}
}
