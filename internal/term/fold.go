package term

import (
	"strings"
	"unicode/utf8"
)

// Fold breaks lines at blanks so that each has at most so many columns, if its words allow it.
func Fold(text string, columns int) string {
	var b strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		at := 0
		for j, word := range strings.Split(line, " ") {
			n := utf8.RuneCountInString(word)
			switch {
			case j == 0:
			case at+1+n > columns:
				b.WriteByte('\n')
				at = 0
			default:
				b.WriteByte(' ')
				at++
			}
			b.WriteString(word)
			at += n
		}
	}
	return b.String()
}

// Cut shortens a line to at most so many columns. A line that was cut ends in "…".
func Cut(line string, columns int) string {
	if runes := []rune(line); len(runes) > columns {
		return string(runes[:max(columns-1, 0)]) + "…"
	}
	return line
}
