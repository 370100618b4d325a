package term

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgressShowsWhenNothingIsPrinted follows the bytes that a terminal gets in a step that is
// silent for a while, speaks, and is silent again.
func TestProgressShowsWhenNothingIsPrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &Printer{w: &out, terminal: true}
		told := func(want string) {
			t.Helper()
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			if got := out.String(); got != want {
				t.Errorf("the terminal got %q, want %q", got, want)
			}
			out.Reset()
		}
		const erase, cut, back = "\r\x1b[K", "\x1b[?7l", "\x1b[?7h\r"
		func() {
			defer p.Busy("wait")()
			time.Sleep(900 * time.Millisecond)
			told("")
			time.Sleep(1200 * time.Millisecond) // 2.1 s
			told(erase + cut + "   … 1 s  wait" + back + erase + cut + "   … 2 s  wait" + back)
			p.Lines("   ", "one")
			told(erase + "   one\n")
			p.Lines("   ", "two")
			time.Sleep(900 * time.Millisecond) // 3.0 s
			told("   two\n")
			time.Sleep(200 * time.Millisecond)
			told(erase + cut + "   … 3 s  wait" + back)
		}()
		told(erase)
		time.Sleep(time.Minute)
		p.Lines("   ", "three")
		told("   three\n")
	})
}

func TestProgressAndColorOnlyOnATerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if IsTerminal(&bytes.Buffer{}) || IsTerminal(file) {
		t.Error("a buffer or a file is taken for a terminal")
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminal to be had: ", err)
	}
	defer terminal.Close()
	for _, c := range []struct {
		term, noColor string
		shown, color  bool
	}{
		{"xterm", "", true, true},
		{"xterm", "1", true, false},
		{"dumb", "", false, false},
	} {
		t.Setenv("TERM", c.term)
		t.Setenv("NO_COLOR", c.noColor)
		if shown, color := IsTerminal(terminal), HasColor(terminal); shown != c.shown || color != c.color {
			t.Errorf("TERM=%s NO_COLOR=%s: progress %v, color %v", c.term, c.noColor, shown, color)
		}
	}
}
