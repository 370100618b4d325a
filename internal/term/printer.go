package term

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// silence is how long a terminal may stay as it is before the printer says what goes on.
const silence = time.Second

// Printer writes lines, and on a terminal one line at the end that shows progress. Its methods can
// be called from several goroutines.
type Printer struct {
	// Failed is called when a write fails, as on a closed pipe. It may be nil.
	Failed func()

	mu       sync.Mutex
	w        io.Writer
	color    bool
	terminal bool
	last     time.Time    // when something was printed
	tick     *time.Ticker // while busy: ticks when nothing has been printed for a while
	moving   bool         // the last line shows progress
}

// NewPrinter returns a printer that writes to w.
func NewPrinter(w io.Writer) *Printer {
	return &Printer{w: w, terminal: IsTerminal(w), color: HasColor(w), last: time.Now()}
}

// Lines prints each line of text after the indent.
func (p *Printer) Lines(indent, text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		p.write(strings.TrimRight(indent+line, " \n") + "\n")
	}
}

// Table prints rows in aligned columns. See the function [Table].
func (p *Printer) Table(indent string, rows ...[]any) {
	for n, line := range Table(rows...) {
		if n == 0 {
			line = p.Dim(line)
		}
		p.Lines(indent, line)
	}
}

// Blank prints an empty line.
func (p *Printer) Blank() { p.write("\n") }

// Bold returns text that is bold where color is welcome.
func (p *Printer) Bold(text string) string { return p.style("1", text) }

// Dim returns text that is dim where color is welcome.
func (p *Printer) Dim(text string) string { return p.style("2", text) }

// Green returns text that is green where color is welcome.
func (p *Printer) Green(text string) string { return p.style("32", text) }

// Red returns text that is red where color is welcome.
func (p *Printer) Red(text string) string { return p.style("31", text) }

func (p *Printer) style(code, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Quiet tells for how long nothing has been printed.
func (p *Printer) Quiet() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.last)
}

func (p *Printer) write(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.last = time.Now()
	if p.tick != nil {
		p.tick.Reset(silence)
	}
	if _, err := io.WriteString(p.w, text); err != nil && p.Failed != nil {
		p.Failed()
	}
}

// Busy shows what is being done and for how long, until done is called: on a terminal, whenever
// nothing has been printed for a second. The line goes before anything else is printed.
func (p *Printer) Busy(what string) (done func()) {
	return p.BusyWith(func() string { return what })
}

// BusyWith is Busy for a text that changes.
func (p *Printer) BusyWith(what func() string) (done func()) {
	if !p.terminal {
		return func() {}
	}
	tick := time.NewTicker(silence)
	p.mu.Lock()
	p.tick = tick
	p.mu.Unlock()
	ended := every(tick, func(took time.Duration) {
		p.progress(fmt.Sprintf("   … %d s  %s", int(took.Seconds()), what()))
	})
	return func() {
		ended()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tick = nil
		p.erase()
	}
}

// BusyLines is BusyWith for where progress must show everywhere. Where the output is not a terminal,
// it prints a line each time that the given time has passed.
func (p *Printer) BusyLines(interval time.Duration, what func() string) (done func()) {
	if p.terminal {
		return p.BusyWith(what)
	}
	return every(time.NewTicker(interval), func(took time.Duration) {
		p.Lines("", fmt.Sprintf("… %d s  %s", int(took.Seconds()), what()))
	})
}

// every calls do at each tick, until the function that it returns is called.
func every(tick *time.Ticker, do func(since time.Duration)) (done func()) {
	begin := time.Now()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-tick.C:
				do(time.Since(begin))
			case <-stop:
				return
			}
		}
	}()
	return func() {
		tick.Stop()
		close(stop)
		<-ended
	}
}

// Progress replaces the line of progress on a terminal, until something else is printed. An empty
// text takes the line away. It does nothing where the output is not a terminal.
func (p *Printer) Progress(text string) {
	if !p.terminal {
		return
	}
	if text != "" {
		p.progress(text)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

// progress puts text on the last line. The terminal cuts it at its edge, because a line that wraps
// cannot be erased. The cursor goes back to the beginning of the line, so that what others write
// there, such as client-go's log, writes over it.
func (p *Printer) progress(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moving = true
	_, _ = io.WriteString(p.w, "\r\x1b[K\x1b[?7l"+p.Dim(text)+"\x1b[?7h\r")
}

// erase takes the progress away. The caller holds the lock.
func (p *Printer) erase() {
	if p.moving {
		p.moving = false
		_, _ = io.WriteString(p.w, "\r\x1b[K")
	}
}
