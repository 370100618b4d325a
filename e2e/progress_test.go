package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// begun is the name of the test that began last.
var begun atomic.Value

// showProgress tells on a terminal, once a second until done, for how long the tests have been
// running and which began last: go test itself is silent until a test has failed. The cursor stays
// at the beginning of the line, so that whatever else is printed takes its place, and there are five
// blanks, for the word PASS.
func showProgress() (done func()) {
	info, err := os.Stdout.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("TERM") == "dumb" || testing.Verbose() {
		return func() {}
	}
	const erase = "\r\x1b[K"
	start, tick, stop, ended := time.Now(), time.NewTicker(time.Second), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer fmt.Print(erase)
		for {
			select {
			case <-tick.C:
				name, _ := begun.Load().(string)
				name, _, _ = strings.Cut(name, "/")
				fmt.Printf(erase+"     … %d s  %s\r", int(time.Since(start).Seconds()), name)
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
