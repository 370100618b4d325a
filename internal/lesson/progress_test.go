package lesson

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"client-go-lessons/internal/term"
)

// TestProgressIsForTerminals: a pipe gets what is printed, and nothing else, however long it takes.
func TestProgressIsForTerminals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := &Run{Config: &rest.Config{}, out: term.NewPrinter(&out)}
		wait := func(context.Context, *Run) error { time.Sleep(time.Minute); return nil }
		l := Lesson{Name: "09-test", Setup: wait, Steps: []Step{{Title: "wait", Run: wait}}}
		if err := r.steps(t.Context(), l, options{}, nil, nil); err != nil {
			t.Fatal(err)
		}
		if got, want := out.String(), "\n1  wait\n"; got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
	})
}
