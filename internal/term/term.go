// Package term writes for people: to a terminal, where a line may be written over and colored, and
// to files and pipes, where it may not. A [Printer] prints; progress.go has the line that tells what
// takes its time, table.go the aligned columns.
package term

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Columns is the number of columns that output keeps to where the width is not known.
const Columns = 80

// IsTerminal tells whether w is a screen on which a line can be written over.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// HasColor tells whether color is welcome: w is a terminal and NO_COLOR (https://no-color.org) is
// not set.
func HasColor(w io.Writer) bool { return IsTerminal(w) && os.Getenv("NO_COLOR") == "" }

// Width is the number of columns of w, or Columns where w does not say.
func Width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return Columns
}
