package cluster

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
	text := Explain(fmt.Errorf("step 2: %w", errors.Join(errs...)))
	if n := strings.Count(text, "\n") + 1; n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, text)
	}
	for _, want := range []string{"step 2: read ConfigMap item-0: unexpected EOF (and 19 lines more)", "make status"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in:\n%s", want, text)
		}
	}
}
