// Package transcript compares what two runs of a lesson printed, apart from what may differ.
package transcript

import "regexp"

// Mask replaces something that may differ between two runs.
type Mask struct {
	Expr *regexp.Regexp
	With string
}

// masks hold for every lesson: the blanks that align columns, names, addresses, versions, times and
// sizes. Numbers of requests, connections, objects and events are not masked. Blanks come first, or
// a number and its unit that stand in two columns would be found only the next time.
var masks = []Mask{
	{regexp.MustCompile(`[ ]{2,}`), " "},
	{regexp.MustCompile(`(?m)^cluster .*$`), "cluster ..."},
	{regexp.MustCompile(`(?m)^ +https://\S+ · .*$`), "..."},
	{regexp.MustCompile(`lesson-\d\d-[a-z0-9]{5}`), "NAMESPACE"},
	{regexp.MustCompile(`resourceVersion \d+`), "resourceVersion RV"},
	{regexp.MustCompile(`\d+(\.\d+)? (s|ms|µs|ns)\b`), "TIME"},
	{regexp.MustCompile(`\d+(\.\d+)? (B|kB|MB)\b`), "SIZE"},
	{regexp.MustCompile(`[█▏▎▍▌▋▊▉]+`), "BAR"},
	{regexp.MustCompile(`BAR +TIME`), "BAR TIME"},
}

// Normalize masks what may differ in any lesson, after what may differ in this one.
func Normalize(text string, extra ...Mask) string {
	for _, m := range append(append([]Mask{}, extra...), masks...) {
		text = m.Expr.ReplaceAllString(text, m.With)
	}
	return text
}
