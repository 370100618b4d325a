package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/judge"
)

const keys = "Keys, each with Enter: h hint, n next, l list, r reset, a run all, q quit.\n" +
	"A number goes to that exercise. Enter alone judges again."

// session is one terminal that stays: it shows an exercise, and judges it each time it is saved.
type session struct {
	*workbench
	e      judge.Exercise
	judged []byte // the program's text at the last judgment

	doing  chan string // what the judgment under way does
	done   chan result // what it came to
	cancel func()      // ends it; nil if there is none
}

// learn leads through the exercises until the learner quits. A key is read with the Enter after it,
// so that nothing needs to be known about the terminal.
func (b *workbench) learn(ctx context.Context, in io.Reader) (int, error) {
	s := &session{workbench: b, doing: make(chan string), done: make(chan result, 1)}
	defer s.stop()
	b.where()
	b.say("%s", keys)
	e, ok := b.next()
	if !ok {
		e = b.all[0]
	}
	if err := s.goTo(ctx, e); err != nil {
		return exitNotYet, err
	}
	lines := readLines(in)
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return exitNotYet, ctx.Err()
		case key, open := <-lines:
			if key == "q" {
				return exitSolved, nil
			}
			if !open {
				lines = nil // nobody types; saving still works
			} else {
				err = s.key(ctx, key)
			}
		case <-look.C:
			err = s.judgeIfSaved(ctx)
		case what := <-s.doing:
			s.now(what)
		case got := <-s.done:
			s.cancel()
			s.cancel = nil
			err = s.finished(ctx, got)
		}
		if err != nil {
			return exitNotYet, err
		}
	}
}

func readLines(in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			lines <- strings.TrimSpace(scanner.Text())
		}
	}()
	return lines
}

func (s *session) key(ctx context.Context, key string) error {
	if e, ok := s.find(key); ok {
		return s.goTo(ctx, e)
	}
	switch key {
	case "h":
		s.say("")
		s.hint(s.e)
	case "n":
		if next, ok := s.after(s.e); ok {
			return s.goTo(ctx, next)
		}
		s.say("This is the last one.")
	case "l":
		s.list()
	case "r":
		s.reset(s.e)
	case "a":
		s.stop()
		_, err := s.judgeAll(ctx)
		return err
	case "":
		s.start(ctx)
	default:
		s.say("%s", keys)
	}
	return nil
}

// goTo shows an exercise and judges it, so that its learner sees what happens.
func (s *session) goTo(ctx context.Context, e judge.Exercise) error {
	s.stop()
	s.e = e
	s.say("")
	s.title(e)
	if err := s.begin(e); err != nil {
		return err
	}
	text, err := s.read()
	if err != nil {
		return err
	}
	s.say("\n%s", story(string(text)))
	s.start(ctx)
	return nil
}

func (s *session) read() ([]byte, error) {
	return os.ReadFile(filepath.Join(s.root, s.program(s.e)))
}

// story is what a program's first comment says below its title.
func story(text string) string {
	var lines strings.Builder
	_, text, _ = strings.Cut(text, "\n//\n")
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "// ")
		if !ok {
			break
		}
		lines.WriteString(strings.TrimSuffix(rest, "\n") + " ")
	}
	return fill(lines.String())
}

func (s *session) judgeIfSaved(ctx context.Context) error {
	text, err := s.read()
	if errors.Is(err, os.ErrNotExist) {
		return nil // an editor may be about to put the new file there
	}
	if err != nil || bytes.Equal(text, s.judged) {
		return err
	}
	s.start(ctx)
	return nil
}

// start judges the program as it is now. A judgment under way is about an older one, and ends.
func (s *session) start(ctx context.Context) {
	s.stop()
	s.judged, _ = s.read() // if it cannot be read, the compiler says so
	ctx, s.cancel = context.WithCancel(ctx)
	e := s.e
	go func() {
		v, err := s.judge(ctx, e, func(what string) {
			select {
			case s.doing <- what:
			case <-ctx.Done():
			}
		})
		s.done <- result{v, err}
	}()
}

// stop ends the judgment under way, if there is one, and returns when nothing is left of it.
func (s *session) stop() {
	if s.cancel == nil {
		return
	}
	s.cancel()
	<-s.done
	s.cancel = nil
	s.progress("")
}

// finished shows what a judgment came to, and goes on to the next exercise if it is solved.
func (s *session) finished(ctx context.Context, got result) error {
	s.progress("")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if got.err != nil { // the cluster's trouble, most likely; the learner may mend it
		s.say("%s\nEnter judges again.", cluster.Explain(got.err))
		return nil //nolint:nilerr // it has been said, and the session goes on
	}
	s.verdict(got.v)
	if !got.v.Solved {
		s.say("\nSave %s, and it is judged again. h is for a hint.", s.program(s.e))
		return nil
	}
	next, left := s.next()
	if !left {
		s.say("\nYou have solved them all. q quits.")
		return nil
	}
	return s.goTo(ctx, next)
}

// now says what is being done: on a terminal in one line that goes away.
func (s *session) now(what string) {
	if s.live {
		s.progress(what)
	} else {
		s.say("%s", what)
	}
}

// list shows all exercises, and which were solved.
func (b *workbench) list() {
	names := b.solved()
	for _, e := range b.all {
		mark := "·"
		if slices.Contains(names, e.Name) {
			mark = b.style("32", "✓")
		}
		b.row(mark, e)
	}
}
