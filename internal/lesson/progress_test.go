package lesson

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgressShowsWhenNothingIsPrinted follows the bytes that a terminal gets in a step that is
// silent for a while, speaks, and is silent again.
func TestProgressShowsWhenNothingIsPrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := &Run{out: &printer{w: &out, terminal: true}}
		told := func(want string) {
			t.Helper()
			synctest.Wait()
			r.out.mu.Lock()
			defer r.out.mu.Unlock()
			if got := out.String(); got != want {
				t.Errorf("the terminal got %q, want %q", got, want)
			}
			out.Reset()
		}
		const erase, cut, back = "\r\x1b[K", "\x1b[?7l", "\x1b[?7h\r"
		_ = r.busy("wait", func() error {
			time.Sleep(900 * time.Millisecond)
			told("")
			time.Sleep(1200 * time.Millisecond) // 2.1 s
			told(erase + cut + "   … 1 s  wait" + back + erase + cut + "   … 2 s  wait" + back)
			r.Say("one")
			told(erase + "   one\n")
			r.Say("two")
			time.Sleep(900 * time.Millisecond) // 3.0 s
			told("   two\n")
			time.Sleep(200 * time.Millisecond)
			told(erase + cut + "   … 3 s  wait" + back)
			return nil
		})
		told(erase)
		time.Sleep(time.Minute)
		r.Say("three")
		told("   three\n")
	})
}

// TestProgressIsForTerminals: a pipe gets what is printed, and nothing else, however long it takes.
func TestProgressIsForTerminals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := &Run{out: &printer{w: &out}}
		wait := func(context.Context, *Run) error { time.Sleep(time.Minute); return nil }
		l := Lesson{Name: "09-test", Setup: wait, Steps: []Step{{Title: "wait", Run: wait}}}
		if err := r.steps(t.Context(), l, options{}, nil); err != nil {
			t.Fatal(err)
		}
		if got, want := out.String(), "\n1  wait\n"; got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
	})
}

// TestProgressOfEachStep: setup and steps show it, and it is gone when a step fails and while a
// pause waits for Enter.
func TestProgressOfEachStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := &Run{out: &printer{w: &out, terminal: true}}
		slow := func(ctx context.Context, _ *Run) error {
			<-ctx.Done()
			return errors.New("no")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second+1)
		defer cancel()
		prepare := func(context.Context, *Run) error { time.Sleep(time.Second + 1); return nil }
		err := r.steps(ctx, Lesson{Name: "09-test", Setup: prepare, Steps: []Step{{Title: "slow", Run: slow}}},
			options{}, nil)
		for _, want := range []string{"… 1 s  preparing the steps", "… 1 s  slow"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the terminal was not shown %q: %q", want, &out)
			}
		}
		if err == nil || !strings.HasSuffix(out.String(), "\r\x1b[K") {
			t.Errorf("error %v; the terminal keeps the progress: %q", err, &out)
		}
	})
}

func TestProgressAndColorOnlyOnATerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if isTerminal(&bytes.Buffer{}) || isTerminal(file) {
		t.Error("a buffer or a file is taken for a terminal")
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminal to be had: ", err)
	}
	defer terminal.Close()
	for _, c := range []struct {
		term, noColor string
		shown, color  bool
	}{
		{"xterm", "", true, true},
		{"xterm", "1", true, false},
		{"dumb", "", false, false},
	} {
		t.Setenv("TERM", c.term)
		t.Setenv("NO_COLOR", c.noColor)
		if shown, color := isTerminal(terminal), hasColor(terminal); shown != c.shown || color != c.color {
			t.Errorf("TERM=%s NO_COLOR=%s: progress %v, color %v", c.term, c.noColor, shown, color)
		}
	}
}
