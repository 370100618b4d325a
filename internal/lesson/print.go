package lesson

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// width is the number of columns that a lesson's output keeps to.
const width = 80

// Say prints a line of a step, formatted as fmt.Sprintf does.
func (r *Run) Say(format string, args ...any) {
	r.out.lines("   ", fmt.Sprintf(format, args...))
}

// Wire prints what a step did on the network, as counted.
func (r *Run) Wire(counted any) {
	r.out.lines("   ", r.out.dim(fmt.Sprintf("wire: %v", counted)))
}

// Table prints rows in aligned columns, the first row being their headings. Columns of numbers,
// but for the first, which names the row, are aligned to the right.
func (r *Run) Table(rows ...[]any) {
	var widths []int
	numbers := map[int]bool{}
	for n, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths, numbers[i] = append(widths, 0), i > 0
			}
			text := fmt.Sprint(cell)
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
			numbers[i] = numbers[i] && (n == 0 || isNumber(text))
		}
	}
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			text := fmt.Sprint(cell)
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
			if numbers[i] {
				text = space + text
			} else {
				text += space
			}
			b.WriteString(text + "   ")
		}
		line := strings.TrimRight(b.String(), " ")
		if n == 0 {
			line = r.out.dim(line)
		}
		r.out.lines("   ", line)
	}
}

func isNumber(text string) bool {
	return text == "" || text[0] >= '0' && text[0] <= '9' || text == "-"
}

func (r *Run) header(l Lesson, c *connection, opts options) {
	r.out.lines("", r.out.bold(fmt.Sprintf("Lesson %s · %s", number(l), l.Title)))
	if l.About != "" {
		r.out.lines("", l.About)
	}
	r.out.lines("", fmt.Sprintf("cluster    %s · Kubernetes %s", c.context, r.Version))
	r.out.lines("", fmt.Sprintf("           %s · %s", c.address(), c.source))
	fate := "deleted at the end"
	if opts.keep {
		fate = "kept (-keep)"
	}
	r.out.lines("", fmt.Sprintf("namespace  %s, made for this run, %s", r.Namespace, fate))
}

// kept tells how to look at the namespace that was not deleted.
func (r *Run) kept(c *connection) {
	kubectl := "kubectl --context " + c.context
	if c.source != "$KUBECONFIG" {
		kubectl = "kubectl --kubeconfig " + c.source
	}
	r.out.blank()
	r.out.lines("", fmt.Sprintf("Kept: %s -n %s get configmaps", kubectl, r.Namespace))
	r.out.lines("", "A lesson that runs more than an hour from now removes it.")
}

func (r *Run) heading(n int, s Step) {
	title := fmt.Sprintf("%-2d %s", n, s.Title)
	gap := max(2, width-utf8.RuneCountInString(title)-len(s.Claims))
	r.out.blank()
	line := r.out.bold(title)
	if s.Claims != "" {
		line += strings.Repeat(" ", gap) + s.Claims
	}
	r.out.lines("", line)
}

// printer writes the lesson's output. A write that fails is told once, through fail.
type printer struct {
	mu       sync.Mutex
	w        io.Writer
	color    bool
	terminal bool
	fail     func()

	tick   *time.Ticker // while busy: ticks when nothing has been printed for a while
	moving bool         // the last line shows progress
}

func (p *printer) lines(indent, text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		p.write(strings.TrimRight(indent+line, " \n") + "\n")
	}
}

func (p *printer) blank()             { p.write("\n") }
func (p *printer) prompt(text string) { p.write(text + "\n") }

func (p *printer) write(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	if p.tick != nil {
		p.tick.Reset(silence)
	}
	if _, err := io.WriteString(p.w, s); err != nil && p.fail != nil {
		p.fail()
	}
}

func (p *printer) bold(s string) string { return p.style("1", s) }
func (p *printer) dim(s string) string  { return p.style("2", s) }

func (p *printer) style(code, s string) string {
	if !p.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Duration writes d with two significant digits, as in "2.0 s", "41 ms" or "0.16 µs".
func Duration(d time.Duration) string {
	if d <= 0 {
		return "0 s"
	}
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if n := float64(d) / float64(unit.size); n >= 0.95 || unit.name == "µs" {
			switch {
			case n >= 9.95:
				return fmt.Sprintf("%.0f %s", n, unit.name)
			case n >= 0.995:
				return fmt.Sprintf("%.1f %s", n, unit.name)
			}
			return fmt.Sprintf("%.2f %s", n, unit.name)
		}
	}
	return ""
}
