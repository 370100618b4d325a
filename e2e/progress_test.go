package e2e

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"client-go-lessons/internal/term"
)

// begun are the tests that have begun, without their parts.
var begun struct {
	sync.Mutex
	names map[string]bool
	last  string
}

// noteBegun makes a running test known to showProgress.
func noteBegun(name string) {
	name, _, _ = strings.Cut(name, "/")
	begun.Lock()
	defer begun.Unlock()
	if begun.names == nil {
		begun.names = map[string]bool{}
	}
	begun.names[name], begun.last = true, name
}

// showProgress says until done for how long the tests have been running, how many have begun, and
// which began last, since go test itself is silent until a test has failed. On a terminal it is one
// line that changes. Elsewhere, where somebody reads a log, it is a line every half minute.
func showProgress() (done func()) {
	if testing.Verbose() {
		return func() {}
	}
	all := testsThere(flag.Lookup("test.run").Value.String())
	return term.NewPrinter(os.Stdout).BusyLines(30*time.Second, func() string {
		begun.Lock()
		defer begun.Unlock()
		return fmt.Sprintf("%d of %d tests begun, %s", len(begun.names), all, cmp.Or(begun.last, "none yet"))
	})
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

// testsThere counts the tests of this package that -run selects.
func testsThere(run string) (n int) {
	first, _, _ := strings.Cut(run, "/")
	selected, err := regexp.Compile(first)
	if err != nil {
		return 0 // go test says so
	}
	files, _ := filepath.Glob("*_test.go") // the pattern is well-formed
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			continue // a count for people
		}
		for _, m := range testFunc.FindAllSubmatch(source, -1) {
			if selected.Match(m[1]) {
				n++
			}
		}
	}
	return n
}
