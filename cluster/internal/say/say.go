// Package say tells the user what is going on: lines that stay, and one line
// at a time that moves.
package say

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// sparse is the shortest time between two progress lines where a line, once
// written, cannot be rewritten.
const sparse = 15 * time.Second

// Printer writes to a terminal or to a file. It is safe for concurrent use.
type Printer struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	moving   bool
	last     time.Time
	now      func() time.Time
}

// To returns a printer to the file.
func To(f *os.File) *Printer {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	return newPrinter(f, terminal, time.Now)
}

func newPrinter(w io.Writer, terminal bool, now func() time.Time) *Printer {
	return &Printer{w: w, terminal: terminal, now: now}
}

// Line writes a line that stays. On a terminal a long one is broken at blanks.
func (p *Printer) Line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	text := fmt.Sprintf(format, args...)
	if p.terminal {
		text = fold(text)
	}
	fmt.Fprintln(p.w, text)
}

const (
	columns = 80
	label   = 13 // columns of the label that a line may begin with
)

// fold breaks lines so that they have 80 columns at most, if their words allow
// it. What goes on does so below its text.
func fold(text string) string {
	var b strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		indent := 2
		if len(line) > label && line[label-2:label] == "  " {
			indent = label
		}
		at := 0
		for j, word := range strings.Split(line, " ") {
			n := utf8.RuneCountInString(word)
			switch {
			case j == 0:
			case n > 0 && at+1+n > columns:
				b.WriteString("\n" + strings.Repeat(" ", indent))
				at = indent
			default:
				b.WriteByte(' ')
				at++
			}
			b.WriteString(word)
			at += n
		}
	}
	return b.String()
}

// Progress shows how far something has come. On a terminal it replaces the
// progress shown before; elsewhere it is written now and then.
func (p *Printer) Progress(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
		p.moving = true
		return
	}
	if now := p.now(); now.Sub(p.last) >= sparse {
		p.last = now
		fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// Done takes away the progress shown last.
func (p *Printer) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.last = time.Time{}
}

func (p *Printer) clear() {
	if p.moving {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.moving = false
	}
}

// Duration writes a time in seconds, as people say it: "40 s", "5 min 40 s".
func Duration(d time.Duration) string {
	seconds := int(d.Round(time.Second).Seconds())
	if seconds < 60 {
		return fmt.Sprintf("%d s", seconds)
	}
	return fmt.Sprintf("%d min %d s", seconds/60, seconds%60)
}

// Number writes n with a comma between thousands and hundreds.
func Number(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", Number(n/1000), n%1000)
}
