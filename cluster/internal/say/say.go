// Package say tells the user what is going on: lines that stay, and one line
// at a time that moves.
package say

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
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

// Line writes a line that stays.
func (p *Printer) Line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.w, format+"\n", args...)
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
