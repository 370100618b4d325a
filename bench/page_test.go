package main

import (
	"encoding/xml"
	"math"
	"os"
	"strings"
	"testing"
)

const printed = `kubernetes: v1.37.2
cpu: A CPU: fast
BenchmarkRead/objects=1000/way=get-2    	    500	    850000 ns/op	         1.000 requests/op	    784000 p50-ns
BenchmarkRead/objects=1000/way=get-2    	    500	    870000 ns/op	         1.000 requests/op	    786000 p50-ns
BenchmarkWire/counted=true              	    500	      1000 ns/op
PASS
`

func TestParseFigures(t *testing.T) {
	f, err := parseFigures(printed)
	if err != nil {
		t.Fatal(err)
	}
	if f.Config["kubernetes"] != "v1.37.2" || f.Config["cpu"] != "A CPU: fast" {
		t.Errorf("config: %v", f.Config)
	}
	const get = "Read/objects=1000/way=get"
	if f.get(get, "p50-ns") != 785_000 || f.get(get, "requests/op") != 1 {
		t.Errorf("a median of two rounds: %v", f.Figures[get])
	}
	if f.get("Wire/counted=true", "ns/op") != 1000 {
		t.Errorf("a line without the number of processors: %v", f.Figures)
	}
	if got := f.sum([]string{get + " p50-ns", "-Wire/counted=true ns/op"}); got != 784_000 {
		t.Errorf("a difference: %v", got)
	}
	if got := f.sum([]string{get + " p50-ns", "Read/none p50-ns"}); !math.IsNaN(got) {
		t.Errorf("a sum of which a part was not measured: %v", got)
	}
	for _, bad := range []string{"PASS\n", "BenchmarkX 1 fast ns/op\n"} {
		if _, err := parseFigures(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestGuard(t *testing.T) {
	number := func(f float64) *float64 { return &f }
	f := figures{Figures: map[string]map[string]float64{"A": {"ns/op": 6}, "B": {"ns/op": 3}}}
	for name, c := range map[string]struct {
		limit limit
		holds bool
		says  string
	}{
		"a ratio":                {limit{Of: []string{"A ns/op"}, Per: []string{"B ns/op"}, Max: number(2)}, true, "ok"},
		"a ratio too high":       {limit{Of: []string{"A ns/op"}, Per: []string{"B ns/op"}, Max: number(1.9)}, false, "BROKEN: why"},
		"a count too low":        {limit{Of: []string{"B ns/op"}, Min: number(4), Max: number(4)}, false, "BROKEN: why"},
		"what was not measured":  {limit{Of: []string{"C ns/op"}, Max: number(4)}, false, "NaN"},
		"a target is no limit":   {limit{Of: []string{"C ns/op"}, Target: 1}, true, "what"},
		"a gain that is too low": {limit{Of: []string{"B ns/op"}, Min: number(100)}, false, "100"},
	} {
		c.limit.Why = "why"
		var out strings.Builder
		if guard(&out, []limit{c.limit}, f) != c.holds || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: want %t and %q:\n%s", name, c.holds, c.says, out.String())
		}
	}
}

// TestLimits: each limit has a name of its own, a reason, and something to compare.
func TestLimits(t *testing.T) {
	limits, err := readLimits("limits.json")
	if err != nil || len(limits) == 0 {
		t.Fatal(limits, err)
	}
	for _, l := range limits {
		if l.Name == "" || l.Why == "" || len(l.Of) == 0 || l.Min == nil && l.Max == nil && l.Target == 0 {
			t.Errorf("%+v: want a name, a limit and a reason", l)
		}
	}
}

// TestPage: the page has a place for each table, and what is there is a table of the same columns.
func TestPage(t *testing.T) {
	text, err := os.ReadFile("../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	f, err := parseFigures(printed)
	if err != nil {
		t.Fatal(err)
	}
	all := tables(f, nil)
	if !strings.Contains(all["reads"], "| Get | – | 785 µs | – | – |\n") {
		t.Errorf("the table of reads:\n%s", all["reads"])
	}
	for name, table := range all {
		head, _, _ := strings.Cut(table, "\n")
		if _, inside, _ := strings.Cut(string(text), "<!-- bench: "+name+" -->\n"); !strings.HasPrefix(inside, head+"\n") {
			t.Errorf("docs/performance.md has no table %s with the columns %s\nmake bench writes it", name, head)
		}
	}
	if _, err := fillPage(string(text), all); err != nil {
		t.Error(err)
	}
}

func TestFillPage(t *testing.T) {
	const page = "before\n<!-- bench: a -->\nold\n<!-- bench end -->\nafter\n"
	got, err := fillPage(page, map[string]string{"a": "new\n"})
	if want := strings.Replace(page, "old", "new", 1); err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for bad, tables := range map[string]map[string]string{
		page: {"b": ""}, "nothing": {"a": ""}, "<!-- bench: a -->\nopen\n": {"a": ""},
	} {
		if got, err := fillPage(bad, tables); err == nil {
			t.Errorf("%q becomes %q", bad, got)
		}
	}
}

func TestShow(t *testing.T) {
	for _, c := range []struct {
		value      float64
		unit, want string
	}{
		{44, "p50-ns", "44 ns"}, {3140, "p50-ns", "3.1 µs"}, {784_400, "ns/op", "784 µs"}, {2_440_000, "after-p99-ns", "2.4 ms"},
		{1_230_000_000, "p50-ns", "1.2 s"}, {25_000_000, "heap-B", "25.0 MB"}, {2500, "heap-B/object", "2.5 kB"},
		{0.54, "stale/op", "54%"}, {1, "requests/op", "1"}, {0.125, "requests/op", "0.12"}, {math.NaN(), "p50-ns", "–"},
	} {
		if got := show(c.value, c.unit); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

func TestPlot(t *testing.T) {
	f, err := parseFigures(printed)
	if err != nil {
		t.Fatal(err)
	}
	svg := f.plot("a & b", [][2]string{{"1,000", "1000"}, {"none", "9"}}, curve{"<Get>", "Read/objects=%s/way=get", "p50-ns"})
	if err := xml.Unmarshal(svg, new(any)); err != nil {
		t.Errorf("%v:\n%s", err, svg)
	}
	if !strings.Contains(string(svg), "&lt;Get&gt;") || strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
		t.Errorf("%s", svg)
	}
}

func TestMetric(t *testing.T) {
	const metrics = "# HELP a x\na 4e+08\na{x=\"1\"} 5\nab 6\n"
	for name, want := range map[string]float64{"a": 4e8, `a{x="1"}`: 5, "ab": 6, "b": 0} {
		if got := metric(t, metrics, name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
