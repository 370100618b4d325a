package lesson

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestJoinedErrorsTakeOneLine: of twenty workers that lost the same connection, one speaks.
func TestJoinedErrorsTakeOneLine(t *testing.T) {
	var errs []error
	for i := range 20 {
		errs = append(errs, fmt.Errorf("read ConfigMap item-%d: %w", i, io.ErrUnexpectedEOF))
	}
	text := explain(fmt.Errorf("step 2: %w", errors.Join(errs...)))
	if n := strings.Count(text, "\n") + 1; n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, text)
	}
	for _, want := range []string{"step 2: read ConfigMap item-0: unexpected EOF (and 19 lines more)", "make status"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in:\n%s", want, text)
		}
	}
}

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"just ten c":                "just ten c",
		"just eleven":               "just\neleven",
		"one two three\nfour":       "one two\nthree\nfour",
		"a https://far.too/long b":  "a\nhttps://far.too/long\nb",
		"ü ü ü ü ü é":               "ü ü ü ü ü\né",
		"two  blanks":               "two \nblanks",
		"ends with a newline, no\n": "ends with\na newline,\nno\n",
	} {
		if got := fold(text, 10); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
