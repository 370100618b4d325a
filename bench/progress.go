package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress says what is being measured. On a terminal it is one line that changes; elsewhere each
// part gets a line.
type progress struct {
	w        io.Writer
	terminal bool
	began    time.Time

	mu    sync.Mutex
	part  string
	width int
	last  time.Time
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, began: time.Now()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return p
}

// step names the part that begins.
func (p *progress) step(format string, a ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part = fmt.Sprintf(format, a...)
	if p.terminal {
		p.show(p.part)
		return
	}
	fmt.Fprintf(p.w, "%5.0f s  %s\n", time.Since(p.began).Seconds(), p.part)
}

// detail says how far the part has come, on a terminal alone and not too often.
func (p *progress) detail(format string, a ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	p.show(p.part + ": " + fmt.Sprintf(format, a...))
}

func (p *progress) show(text string) {
	text = fmt.Sprintf("%5.0f s  %s", time.Since(p.began).Seconds(), text)
	if len(text) > 100 {
		text = text[:100]
	}
	fmt.Fprintf(p.w, "\r%s%s", text, strings.Repeat(" ", max(0, p.width-len(text))))
	p.width = len(text)
}

// line prints something that stays.
func (p *progress) line(format string, a ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
	fmt.Fprintf(p.w, format+"\n", a...)
}
