package advice

import (
	"fmt"
	"strconv"
	"time"

	"client-go-lessons/internal/term"
)

// Duration writes d as people read it: "2 min 4 s", "2.0 s", "41 ms".
func Duration(d time.Duration) string {
	if d < 100*time.Second {
		return term.Duration(d)
	}
	d = d.Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// Number writes n with its thousands apart: "1,904".
func Number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Size writes a number of bytes: "812 B", "4.1 kB", "5.1 MB", in powers of ten.
func Size(bytes int64) string {
	switch b := float64(bytes); {
	case bytes < 1000:
		return fmt.Sprintf("%d B", bytes)
	case b < 9.95e3:
		return fmt.Sprintf("%.1f kB", b/1e3)
	case b < 999.5e3:
		return fmt.Sprintf("%.0f kB", b/1e3)
	case b < 9.95e6:
		return fmt.Sprintf("%.1f MB", b/1e6)
	case b < 999.5e6:
		return fmt.Sprintf("%.0f MB", b/1e6)
	default:
		return fmt.Sprintf("%.1f GB", b/1e9)
	}
}

// count writes a number with its noun: "1 watch", "4 watches".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}
