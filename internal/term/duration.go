package term

import (
	"fmt"
	"time"
)

// Duration writes d with two significant digits, as in "2.0 s", "41 ms" or "0.16 µs".
func Duration(d time.Duration) string {
	if d <= 0 {
		return "0 s"
	}
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if n := float64(d) / float64(unit.size); n >= 0.95 || unit.name == "µs" {
			switch {
			case n >= 9.95:
				return fmt.Sprintf("%.0f %s", n, unit.name)
			case n >= 0.995:
				return fmt.Sprintf("%.1f %s", n, unit.name)
			}
			return fmt.Sprintf("%.2f %s", n, unit.name)
		}
	}
	return ""
}
