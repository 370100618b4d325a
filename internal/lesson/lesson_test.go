package lesson

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/term"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func threeSteps(ran *[]int) Lesson {
	step := func(n int) func(context.Context, *Run) error {
		return func(context.Context, *Run) error { *ran = append(*ran, n); return nil }
	}
	return Lesson{Name: "09-test", Title: "A test", Steps: []Step{
		{Name: "one", Title: "One?", Run: step(1)},
		{Name: "two", Title: "Two?", Claims: "N2", Run: step(2)},
		{Name: "three", Title: "Three?", Run: step(3), Needs: []string{"one"}},
	}}
}

func TestStepsRunInOrderWithWhatTheyNeed(t *testing.T) {
	for asked, want := range map[string]string{"": "[1 2 3]", "two": "[2]", "three": "[1 3]"} {
		var ran []int
		var out bytes.Buffer
		r := &Run{Config: &rest.Config{}, out: term.NewPrinter(&out)}
		if err := r.steps(t.Context(), threeSteps(&ran), options{step: asked}, nil, nil); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(ran); got != want {
			t.Errorf("-step %q ran %s, want %s", asked, got, want)
		}
	}
}

func TestPauseWaitsBeforeEachStepAndBeforeTheEnd(t *testing.T) {
	var ran []int
	var out bytes.Buffer
	r := &Run{Config: &rest.Config{}, out: term.NewPrinter(&out)}
	l := threeSteps(&ran)
	l.Sum = func(r *Run) { r.Say("done") }
	if err := r.steps(t.Context(), l, options{pause: true}, bufio.NewReader(strings.NewReader("\n\n\n\n")), nil); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), ": press Enter --"); n != 4 {
		t.Errorf("%d prompts, want 4:\n%s", n, &out)
	}
	if !strings.HasSuffix(out.String(), "docs/09-test.md\n") {
		t.Errorf("the end does not lead to the lesson's page:\n%s", &out)
	}
}

// TestPauseNeedsSomebody: where the input ends, the lesson goes on without asking for Enter.
func TestPauseNeedsSomebody(t *testing.T) {
	var ran []int
	var out bytes.Buffer
	r := &Run{Config: &rest.Config{}, out: term.NewPrinter(&out)}
	err := r.steps(t.Context(), threeSteps(&ran), options{pause: true}, bufio.NewReader(strings.NewReader("")), nil)
	if err != nil || len(ran) != 3 {
		t.Fatalf("ran %v: %v", ran, err)
	}
	if n := strings.Count(out.String(), ": press Enter --"); n != 1 {
		t.Errorf("%d prompts, want 1:\n%s", n, &out)
	}
}

// TestTimeoutNamesTheStep: a step that hangs ends with the deadline, and the error says which it was.
func TestTimeoutNamesTheStep(t *testing.T) {
	r := &Run{Config: &rest.Config{}, out: term.NewPrinter(&bytes.Buffer{})}
	l := Lesson{Name: "09-test", Steps: []Step{
		{Name: "quick", Title: "quick", Run: func(context.Context, *Run) error { return nil }},
		{Name: "stuck", Title: "stuck", Run: func(ctx context.Context, _ *Run) error { <-ctx.Done(); return ctx.Err() }},
	}}
	err := r.steps(t.Context(), l, options{timeout: 200 * time.Millisecond}, nil, nil)
	if err == nil {
		t.Fatal("no error")
	}
	if text := cluster.Explain(err); !strings.Contains(text, `in step 2 (stuck)`) || !strings.Contains(text, "make status") {
		t.Errorf("the error does not name the step that hung: %s", text)
	}
}

func TestCloseRunsAfterAFailedStep(t *testing.T) {
	closed := false
	r := &Run{Config: &rest.Config{}, out: term.NewPrinter(&bytes.Buffer{})}
	l := Lesson{Name: "09-test", Close: func() { closed = true }, Steps: []Step{
		{Title: "bad", Run: func(context.Context, *Run) error { return errors.New("no") }}}}
	if err := r.steps(t.Context(), l, options{}, nil, nil); err == nil || !closed {
		t.Errorf("error %v, closed %v", err, closed)
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		says string // on stderr, when it is wrong
	}{
		{"", ""},
		{"-step 3 -keep -pause -claims -context kind", ""},
		{"-step three", ""},
		{"-step 4", "no such step: lesson 09 has steps 1 to 3"},
		{"-step -1", "no such step"},
		{"-step 0", "no such step"},
		{"-step x", "no such step"},
		{"-timeout -1s", "negative"},
		{"something", "flags only"},
		{"-unknown", "not defined"},
	} {
		var ran []int
		var errs bytes.Buffer
		_, err := parseFlags(threeSteps(&ran), strings.Fields(c.args), &errs)
		if (err != nil) != (c.says != "") || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%q: error %v, says %q, want %q", c.args, err, errs.String(), c.says)
		}
	}
}

func TestTheDeadlineIsTwoMinutesButNoneWithPause(t *testing.T) {
	for args, want := range map[string]time.Duration{
		"": 10 * time.Minute, "-timeout 5s": 5 * time.Second, "-pause": 0, "-pause -timeout 5s": 5 * time.Second} {
		o, err := parseFlags(Lesson{Name: "09-test"}, strings.Fields(args), &bytes.Buffer{})
		if err != nil || o.timeout != want {
			t.Errorf("%q: %s, %v; want %s", args, o.timeout, err, want)
		}
	}
}

func TestLeaksSeesWhatWasLeftBehind(t *testing.T) {
	entered, stop, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		leftBehind(entered, stop)
	}()
	<-entered // before that its stack does not name leftBehind
	if !strings.Contains(leaks(), "leftBehind") {
		t.Error("a goroutine that waits in code of ours is not seen")
	}
	close(stop)
	<-ended
	if strings.Contains(leaks(), "leftBehind") {
		t.Error("a goroutine that has returned is still seen")
	}
}

func leftBehind(entered, stop chan struct{}) {
	close(entered)
	<-stop
}
