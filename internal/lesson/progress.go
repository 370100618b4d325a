package lesson

import (
	"fmt"
	"io"
	"os"
	"time"
)

// silence is how long a terminal may stay as it is before the printer says what goes on.
const silence = time.Second

// isTerminal tells whether w is a screen on which a line can be written over.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// hasColor tells whether color is welcome: w is a terminal and NO_COLOR (https://no-color.org) is
// not set.
func hasColor(w io.Writer) bool { return isTerminal(w) && os.Getenv("NO_COLOR") == "" }

// busy does what takes time.
func (r *Run) busy(what string, do func() error) error {
	defer r.out.busy(what)()
	return do()
}

// busy shows on a terminal, whenever nothing has been printed for a second, what is being done and
// for how long, until done is called. The line goes before anything else is printed.
func (p *printer) busy(what string) (done func()) {
	if !p.terminal {
		return func() {}
	}
	begin, tick := time.Now(), time.NewTicker(silence)
	stop, ended := make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	p.tick = tick
	p.mu.Unlock()
	go func() {
		defer close(ended)
		for {
			select {
			case <-tick.C:
				p.progress(fmt.Sprintf("   … %d s  %s", int(time.Since(begin).Seconds()), what))
			case <-stop:
				return
			}
		}
	}()
	return func() {
		tick.Stop()
		close(stop)
		<-ended
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tick = nil
		p.erase()
	}
}

// progress puts text on the last line. It is cut at the edge of a narrow terminal, for a line that
// wraps cannot be erased; and the cursor goes back to its beginning, so that what others write
// there, such as client-go's log, writes over it.
func (p *printer) progress(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moving = true
	_, _ = io.WriteString(p.w, "\r\x1b[K\x1b[?7l"+p.dim(text)+"\x1b[?7h\r")
}

// erase takes the progress away. The caller holds the lock.
func (p *printer) erase() {
	if p.moving {
		p.moving = false
		_, _ = io.WriteString(p.w, "\r\x1b[K")
	}
}
