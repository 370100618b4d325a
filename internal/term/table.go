package term

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Table returns the lines of rows in aligned columns. The first row has the headings. Columns of
// numbers are aligned to the right, except the first column, which names the row.
func Table(rows ...[]any) []string {
	var widths []int
	numbers := map[int]bool{}
	for n, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths, numbers[i] = append(widths, 0), i > 0
			}
			text := fmt.Sprint(cell)
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
			numbers[i] = numbers[i] && (n == 0 || isNumber(text))
		}
	}
	var lines []string
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			text := fmt.Sprint(cell)
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
			if numbers[i] {
				text = space + text
			} else {
				text += space
			}
			b.WriteString(text + "   ")
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

func isNumber(text string) bool {
	return text == "" || text[0] >= '0' && text[0] <= '9' || text == "-"
}
