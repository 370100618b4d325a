package transcript

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNormalizeMasksWhatMayDiffer(t *testing.T) {
	a := "   wire: 1 LIST, 1 new connection (HTTP/2), 2.9 kB\n   resourceVersion 41, after 9.8 ms\n"
	for _, c := range []struct {
		name, b string
		same    bool
	}{
		{"another time and size", strings.NewReplacer("2.9 kB", "812 B", "9.8 ms", "1.2 s").Replace(a), true},
		{"another resourceVersion", strings.Replace(a, "41", "4711", 1), true},
		{"another number of requests", strings.Replace(a, "1 LIST", "2 LIST", 1), false},
		{"another number of connections", strings.Replace(a, "1 new", "0 new", 1), false},
	} {
		if same := Normalize(a) == Normalize(c.b); same != c.same {
			t.Errorf("%s: same = %v, want %v", c.name, same, c.same)
		}
	}
}

// FuzzNormalize: whatever a lesson prints, masking it twice changes nothing more, no line is lost,
// and a count on a line of its own is as visible after it as before, next to whatever text.
func FuzzNormalize(f *testing.F) {
	recorded, err := filepath.Glob("../../lessons/*/output.txt")
	if err != nil || len(recorded) == 0 {
		f.Fatal(recorded, err)
	}
	for _, path := range recorded {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "\n\n") { // a step; small seeds are fast
			f.Add(part, uint16(1), uint16(2))
		}
	}
	f.Add("", uint16(0), uint16(0))
	f.Add("12  s of 3   kB ██▏   1.5 ms\n", uint16(1), uint16(10))
	f.Add("cluster x\n           https://127.0.0.1:6443 · .cluster/kubeconfig\nlesson-01-abcde\r\n\xff", uint16(7), uint16(7))
	f.Fuzz(func(t *testing.T, text string, a, b uint16) {
		once := Normalize(text)
		if twice := Normalize(once); twice != once {
			t.Errorf("masked once: %q\nmasked twice: %q", once, twice)
		}
		if before, after := strings.Count(text, "\n"), strings.Count(once, "\n"); before != after {
			t.Errorf("%d lines have become %d: %q", before, after, once)
		}
		near := text[:min(len(text), 50)]
		for _, line := range []string{
			"   wire: %d LIST, 1 new connection (HTTP/2), 2.9 kB",
			"   wire: 1 LIST + %d GET, 0 new connections, 812 B",
			"   wire: 1 WATCH, %d new connections, 812 B",
			"   %d handlers told of 3 ConfigMaps after 2 s",
			"   Get          \"\"    %d",
			"   MODIFIED  %d events",
		} {
			with := func(n uint16) string { return Normalize(near + "\n" + fmt.Sprintf(line, n) + "\n" + near) }
			if same := with(a) == with(b); same != (a == b) {
				t.Errorf("%q with %d and %d: same after masking = %t", line, a, b, same)
			}
		}
	})
}
