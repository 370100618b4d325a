package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"client-go-lessons/internal/faults"
	"client-go-lessons/internal/observer"
)

// soakRun is one run of a soak. It follows from the seed and the number of the run alone.
type soakRun struct {
	Lesson string
	Rows   []faults.Row
	From   []int // which occurrence the first injection of each row hits, where the row has it hit the first
	Signal os.Signal
	At     int // the request at which the signal is sent
}

// planSoak draws one run: a lesson of the table of faults, up to three of the rows that hit it, and, now and
// then, a signal.
func planSoak(seed uint64, run int) soakRun {
	rng := rand.New(rand.NewPCG(seed, uint64(run)))
	p := soakRun{Lesson: faults.Columns[rng.IntN(len(faults.Columns))].Lesson}
	var rows []faults.Row
	for _, section := range faults.Sections {
		for _, c := range section.Cases() {
			// A soak cannot wait for what waits for ever, nor act at a step.
			if c.Column.Lesson == p.Lesson && c.Cell.Outcome != faults.Hangs && c.Row.Fault.Act == faults.Nothing {
				rows = append(rows, c.Row)
			}
		}
	}
	for range 1 + rng.IntN(3) {
		p.Rows = append(p.Rows, rows[rng.IntN(len(rows))])
		p.From = append(p.From, 1+rng.IntN(10))
	}
	switch rng.IntN(12) {
	case 0, 1:
		p.Signal = os.Interrupt
	case 2:
		p.Signal = os.Kill
	}
	p.At = 1 + rng.IntN(100)
	return p
}

func (p soakRun) String() string {
	var names []string
	for i, row := range p.Rows {
		names = append(names, fmt.Sprintf("%s (%d)", row.Name, p.From[i]))
	}
	text := p.Lesson + ": " + strings.Join(names, "; ")
	if p.Signal != nil {
		text += fmt.Sprintf("; %v at request %d", p.Signal, p.At)
	}
	return text
}

// mild tells whether client-go gets over all that happens, so that the lesson must, too.
func (p soakRun) mild() bool {
	for _, row := range p.Rows {
		if !row.Mild() {
			return false
		}
	}
	return p.Signal == nil
}

// TestSoak runs lessons under random rows of the table of faults, several at once, until a time is
// up: make soak. SOAK_RUN repeats one run.
func TestSoak(t *testing.T) {
	if os.Getenv("SOAK_TIME") == "" {
		t.Skip("takes as long as one likes: make soak")
	}
	noteFailure(t)
	lasts, err := time.ParseDuration(os.Getenv("SOAK_TIME"))
	if err != nil {
		t.Fatalf("SOAK_TIME: %v", err)
	}
	seed, only := soakNumber(t, "SOAK_SEED", rand.IntN(1_000_000)), soakNumber(t, "SOAK_RUN", 0)
	fmt.Printf("soak: %s, seed %d\n", lasts, seed)
	began, outcomes := time.Now(), map[string]int{}
	var mu sync.Mutex
	next := func() (run int, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		outcomes["runs"]++
		if only > 0 {
			return only, outcomes["runs"] == 1
		}
		return outcomes["runs"], time.Since(began) < lasts
	}
	var workers sync.WaitGroup
	for range soakNumber(t, "SOAK_PARALLEL", 4) {
		workers.Go(func() {
			for run, ok := next(); ok; run, ok = next() {
				p := planSoak(uint64(seed), run)
				outcome, wrong := soak(t, p)
				mu.Lock()
				outcomes[outcome]++
				fmt.Printf("soak: %s, run %d, %s: %s\n", time.Since(began).Round(time.Second), run, outcome, p)
				mu.Unlock()
				if wrong != "" {
					t.Errorf("run %d: %s\n%s\nagain: make soak SEED=%d RUN=%d", run, p, wrong, seed, run)
				}
			}
		})
	}
	workers.Wait()
	delete(outcomes, "runs")
	fmt.Printf("soak: seed %d, %s on %s, Kubernetes %s: %v\n", seed, time.Since(began).Round(time.Second),
		lab.provider, lab.version, outcomes)
}

// soak does one run, and says how it came out and what was wrong.
func soak(t *testing.T, p soakRun) (outcome, wrong string) {
	http1, env := false, []string(nil)
	for _, row := range p.Rows {
		http1 = http1 || row.Fault.HTTP1
		if row.Fault.Env != "" {
			env = append(env, row.Fault.Env)
		}
	}
	proxy, err := startObserver(http1)
	if err != nil {
		return "wrong", err.Error()
	}
	defer proxy.Close() //nolint:errcheck // what the lesson did is what counts
	for i, row := range p.Rows {
		for _, injection := range row.Fault.Injections {
			if match := injection.Match; match.From == 1 && match.To == 1 {
				injection.Match.From, injection.Match.To = p.From[i], p.From[i]
			}
			proxy.Inject(injection.Match, injection.Fault)
		}
	}
	var stderr strings.Builder
	run, err := tryLesson(t, p.Lesson, runOptions{proxy: proxy, stderr: &stderr, env: env,
		args: []string{"-timeout", "5m"}, signal: p.Signal, at: p.At})
	record := proxy.Since(observer.Mark{})
	const lost = 3 // what was sent into a connection that was then reset
	found := problems(t, run, stderr.String(), record, lost)
	if err != nil {
		found = append(found, err.Error())
	}
	outcome = map[int]string{0: "survived", 1: "failed clearly", 130: "interrupted", -1: "killed"}[run.Code]
	switch {
	case outcome == "":
		found = append(found, fmt.Sprintf("exit code %d", run.Code))
	case run.Code != 0 && p.mild():
		found = append(found, "it should have got over that")
	}
	if strings.Contains(stderr.String(), leftBehind) {
		removeLeft(t, stderr.String())
	}
	if run.Code == -1 {
		for name := range namespacesOf(record) {
			removeLeft(t, "kubectl"+leftBehind+name)
		}
	}
	if len(found) == 0 {
		return outcome, ""
	}
	return "wrong", strings.Join(found, "\n") + "\n" + tail(run.Output, 15) + "\n" + stderr.String()
}

func soakNumber(t *testing.T, name string, otherwise int) int {
	t.Helper()
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

// TestSoakPlan: a run can be repeated, and everything happens.
func TestSoakPlan(t *testing.T) {
	seen := map[string]int{}
	for run := range 2000 {
		p := planSoak(7, run)
		if again := planSoak(7, run); p.String() != again.String() {
			t.Fatalf("run %d: %s, and then %s", run, p, again)
		}
		seen[p.Lesson]++
		seen[fmt.Sprint(p.Signal)]++
		seen[fmt.Sprint("mild ", p.mild())]++
		for _, row := range p.Rows {
			seen[row.Name]++
		}
	}
	for _, want := range []string{"01-direct", "02-watch", "03-informer", "04-fallback",
		"<nil>", "interrupt", "killed", "mild true", "mild false"} {
		if seen[want] == 0 {
			t.Errorf("%s never happens in 2000 runs", want)
		}
	}
	if len(seen) < 25 {
		t.Errorf("only these happen: %v", seen)
	}
}
