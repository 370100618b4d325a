package say

import (
	"strings"
	"testing"
	"time"
)

func TestTerminalRewritesItsLine(t *testing.T) {
	var b strings.Builder
	p := newPrinter(&b, true, time.Now)
	p.Progress("1 of %d", 2)
	p.Progress("2 of %d", 2)
	p.Line("done")
	p.Done()
	if got, want := b.String(), "\r\x1b[K1 of 2\r\x1b[K2 of 2\r\x1b[Kdone\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFileGetsALineNowAndThen(t *testing.T) {
	var b strings.Builder
	now := time.Unix(1, 0)
	p := newPrinter(&b, false, func() time.Time { return now })
	for i := range 61 {
		p.Progress("%d s", i)
		now = now.Add(time.Second)
	}
	p.Done()
	p.Progress("again")
	if got, want := b.String(), "0 s\n15 s\n30 s\n45 s\n60 s\nagain\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
