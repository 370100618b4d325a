package local

import (
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	for name, c := range map[string]struct{ log, want string }{
		"the last lines":         {"a\nb\nc\n", "  b\n  c"},
		"fewer than that":        {"a\n", "  a"},
		"none":                   {"", ""},
		"its own words":          {"a\ncontrolplane: port 1: taken\nb\n", "  controlplane: port 1: taken"},
		"no stack traces":        {"a\npanic: oh\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:1\n", "  a\n  panic: oh"},
		"nothing endlessly long": {strings.Repeat("é", 300) + "\n", "  " + strings.Repeat("é", 200) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tail(c.log, 2); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
