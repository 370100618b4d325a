package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// curve is one line of a plot: a figure for each place on the x axis.
type curve struct {
	label      string
	name, unit string // the name has a %s for the key of a place
}

// plots are the page's pictures, by file name.
func plots(f figures) map[string][]byte {
	sizes := [][2]string{{"100", "100"}, {"1,000", "1000"}, {"10,000", "10000"}}
	read := func(label, way string) curve { return curve{label, "Read/objects=%s/way=" + way, "p50-ns"} }
	after := func(label, read, unit string) curve { return curve{label, "AfterWrite/others=%s/read=" + read, unit} }
	return map[string][]byte{
		"reads.svg": f.plot("p50 of one read by the number of ConfigMaps", sizes,
			read("List", "list"), read("List by label", "list-label"), read("Get", "get"), read("GET /livez", "livez"),
			read("lister List", "lister-list"), read("ByIndex", "indexer-label"), read("lister Get", "lister-get"), read("map", "map")),
		"share.svg": f.plot("heap by the number of handlers, 10,000 ConfigMaps",
			[][2]string{{"1 handler", "1"}, {"4", "4"}, {"16", "16"}},
			curve{"a factory each", "Share/objects=10000/handlers=%[1]s/factories=%[1]s", "heap-B"},
			curve{"one factory", "Share/objects=10000/handlers=%s/factories=1", "heap-B"}),
		"lag.svg": f.plot("from the answer to a fresh read, by others' writes a second", loads,
			after("poll 10 ms, p50", "poll-10ms", "after-p50-ns"), after("live, p99", "live", "after-p99-ns"),
			after("live, p50", "live", "after-p50-ns"), after("fresh, p99", "fresh", "after-p99-ns"),
			after("fresh, p50", "fresh", "after-p50-ns")),
	}
}

const (
	plotWidth, plotHeight   = 760, 380
	left, right, top, below = 70, 170, 40, 40
)

var colors = []string{"#1b6ca8", "#c0392b", "#27864a", "#8e44ad", "#b9770e", "#117a8b", "#5d6d7e", "#a93279"}

// plot draws curves as SVG, over a logarithmic y axis.
func (f figures) plot(title string, places [][2]string, curves ...curve) []byte {
	lowest, highest, last := math.Inf(1), math.Inf(-1), 0
	value := func(c curve, place int) float64 { return f.get(fmt.Sprintf(c.name, places[place][1]), c.unit) }
	for _, c := range curves {
		for i := range places {
			if v := value(c, i); v > 0 {
				lowest, highest, last = min(lowest, v), max(highest, v), max(last, i)
			}
		}
	}
	from, to := math.Floor(math.Log10(lowest)), math.Ceil(math.Log10(highest))
	x := func(i int) float64 { return left + float64(plotWidth-left-right)*float64(i)/float64(max(last, 1)) }
	y := func(v float64) float64 {
		return top + (plotHeight-top-below)*(to-math.Log10(v))/max(to-from, 1)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="Helvetica,Arial,sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="white"/>
`, plotWidth, plotHeight)
	text := func(x, y float64, anchor, color, s string) {
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, color, html.EscapeString(s))
	}
	text(left, 20, "start", "black", title)
	for power := from; power <= to; power++ {
		at := y(math.Pow(10, power))
		fmt.Fprintf(&b, `<path d="M%d %.0fH%d" stroke="#dddddd"/>`+"\n", left, at, plotWidth-right)
		text(left-8, at+4, "end", "black", show(math.Pow(10, power), curves[0].unit))
	}
	for i := range places[:last+1] {
		text(x(i), plotHeight-below+20, "middle", "black", places[i][0])
	}
	// The lowest curve comes first: labels stand one above the other.
	slices.SortFunc(curves, func(c, d curve) int { return cmp.Compare(value(c, last), value(d, last)) })
	free := math.Inf(1)
	for i, c := range curves {
		path := ""
		for place := range places {
			if v := value(c, place); v > 0 {
				path += fmt.Sprintf("%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[path == ""], x(place), y(v))
			}
		}
		if v := value(c, last); v > 0 {
			free = min(y(v), free-14)
			text(plotWidth-right+8, free+4, "start", colors[i%len(colors)], c.label)
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path, colors[i%len(colors)])
	}
	return []byte(b.String() + "</svg>\n")
}
