package term

import (
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
