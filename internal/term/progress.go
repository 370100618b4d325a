package term

import (
	"fmt"
	"io"
	"time"
)

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
