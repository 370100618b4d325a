package e2e

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"client-go-lessons/internal/term"
)

// begun is the name of the test that began last.
var begun atomic.Value

// showProgress says until done for how long the tests have been running and which began last, since
// go test itself is silent until a test has failed. On a terminal it is one line that changes.
// Elsewhere, where somebody reads a log, it is a line every half minute.
func showProgress() (done func()) {
	if testing.Verbose() {
		return func() {}
	}
	return term.NewPrinter(os.Stdout).BusyLines(30*time.Second, func() string {
		name, _ := begun.Load().(string)
		name, _, _ = strings.Cut(name, "/")
		return name
	})
}
