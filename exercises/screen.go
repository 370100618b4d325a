package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"client-go-lessons/internal/term"
)

// screen is where the learner reads.
type screen struct {
	mu    sync.Mutex // for what is kept
	out   io.Writer
	color bool
	live  bool // a terminal: a line may be written over
}

func newScreen(out io.Writer) screen {
	return screen{out: out, color: term.HasColor(out), live: term.IsTerminal(out)}
}

func (s *screen) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// progress shows what goes on, on a terminal, until the next call.
func (s *screen) progress(what string) {
	if s.live {
		fmt.Fprintf(s.out, "\r\x1b[K%s", what)
	}
}

func (s *screen) style(code, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// fill folds text for 80 columns, and indents it.
func fill(text string) string {
	return "   " + strings.ReplaceAll(term.Fold(strings.TrimSpace(text), 77), "\n", "\n   ")
}

// fold makes a line that was printed into at most four of at most width columns, where words end if
// they do. All but the first leave room for an indent of two.
func fold(line string, width int) (lines []string) {
	const most = 4
	rest := []rune(strings.ReplaceAll(line, "\t", "    "))
	for len(rest) > width && len(lines) < most-1 {
		cut := width
		for i := width; i > width/2; i-- {
			if rest[i] == ' ' {
				cut = i
				break
			}
		}
		lines, rest = append(lines, string(rest[:cut])), rest[cut:]
		if rest[0] == ' ' {
			rest = rest[1:]
		}
		if len(lines) == 1 {
			width -= 2
		}
	}
	if len(rest) > width {
		rest = append(rest[:width-1], '…')
	}
	return append(lines, string(rest))
}
