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

func TestTerminalGetsNoLongLines(t *testing.T) {
	long := strings.Repeat("word ", 20) + "end" // 103 columns
	for what, c := range map[string]struct{ line, want string }{
		"short":       {"cluster      here", "cluster      here"},
		"plain":       {long, long[:79] + "\n  " + long[80:]},
		"with label":  {"provider     " + long, "provider     " + long[:64] + "\n             " + long[65:]},
		"two lines":   {"one\n" + long, "one\n" + long[:79] + "\n  " + long[80:]},
		"a long word": {"see " + strings.Repeat("x", 90) + " now", "see\n  " + strings.Repeat("x", 90) + "\n  now"},
	} {
		var terminal, file strings.Builder
		newPrinter(&terminal, true, time.Now).Line("%s", c.line)
		newPrinter(&file, false, time.Now).Line("%s", c.line)
		if got := terminal.String(); got != c.want+"\n" {
			t.Errorf("%s: got\n%s\nwant\n%s", what, got, c.want)
		}
		if got := file.String(); got != c.line+"\n" {
			t.Errorf("%s: a file got %q, want it as it is", what, got)
		}
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 s", 59400 * time.Millisecond: "59 s", time.Minute: "1 min 0 s", 340 * time.Second: "5 min 40 s"} {
		if got := Duration(d); got != want {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 2238: "2,238", 1000001: "1,000,001"} {
		if got := Number(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
