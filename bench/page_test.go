package main

import (
	"encoding/xml"
	"math"
	"os"
	"strings"
	"testing"
)

const (
	get     = "Read/objects=1000/way=get"
	printed = `kubernetes: v1.37.2
cpu: A CPU: fast
BenchmarkRead/objects=1000/way=get-2    	    500	    850000 ns/op	         1.000 requests/op	    784000 p50-ns
BenchmarkRead/objects=1000/way=get-2    	    500	    870000 ns/op	         1.000 requests/op	    786000 p50-ns
BenchmarkWire/counted=true              	    500	      1000 ns/op
PASS
`
)

func parsed(t *testing.T) figures {
	f, err := parseFigures(printed)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseFigures(t *testing.T) {
	f := parsed(t)
	if f.Config["kubernetes"] != "v1.37.2" || f.Config["cpu"] != "A CPU: fast" {
		t.Errorf("config: %v", f.Config)
	}
	for _, c := range []struct {
		names []string
		want  float64
	}{
		{[]string{get + " p50-ns"}, 785_000}, // the median of two rounds
		{[]string{get + " requests/op"}, 1},
		{[]string{get + " p50-ns", "-Wire/counted=true ns/op"}, 784_000},
		{[]string{get + " p50-ns", "Read/none p50-ns"}, math.NaN()},
	} {
		if got := f.sum(c.names); got != c.want && !math.IsNaN(got+c.want) {
			t.Errorf("%v: %v, want %v", c.names, got, c.want)
		}
	}
	for _, bad := range []string{"PASS\n", "BenchmarkX 1 fast ns/op\n"} {
		if _, err := parseFigures(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestGuard(t *testing.T) {
	f := figures{Figures: map[string]map[string]float64{"A": {"ns": 6}, "B": {"ns": 3}}}
	a, b, none := []string{"A ns"}, []string{"B ns"}, []string{"none ns"}
	for name, c := range map[string]struct {
		limit limit
		says  string // ok, or nothing of it
	}{
		"a ratio":               {limit{Of: a, Per: b, Max: new(2.0)}, "2   ok"},
		"a ratio too high":      {limit{Of: a, Per: b, Max: new(1.9)}, "BROKEN: why"},
		"a count too low":       {limit{Of: b, Min: new(4.0), Max: new(4.0)}, "BROKEN: why"},
		"what was not measured": {limit{Of: none, Max: new(4.0)}, "BROKEN: why"},
		"a target is no limit":  {limit{Of: none, Target: 1}, "what"},
	} {
		c.limit.Why = "why"
		var out strings.Builder
		whole := guard(&out, []limit{c.limit}, f)
		if whole == strings.Contains(c.says, "BROKEN") || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: whole is %t, want %q:\n%s", name, whole, c.says, out.String())
		}
	}
}

// TestLimits: each limit has a name, a reason, and something to compare with.
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
	all := tables(parsed(t), nil)
	if !strings.Contains(all["reads"], "| Get | – | 785 µs | – |\n") {
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
	for bad, table := range map[string]string{page: "b", "nothing": "a", "<!-- bench: a -->\nopen\n": "a"} {
		if got, err := fillPage(bad, map[string]string{table: ""}); err == nil {
			t.Errorf("%q becomes %q", bad, got)
		}
	}
}

func TestShow(t *testing.T) {
	for want, c := range map[string]struct {
		value float64
		unit  string
	}{
		"44 ns": {44, "p50-ns"}, "3.1 µs": {3140, "p50-ns"}, "2.4 ms": {2_440_000, "after-p99-ns"}, "25.0 MB": {25e6, "heap-B"},
		"2.5 kB": {2500, "heap-B/object"}, "54%": {0.54, "stale/op"}, "1": {1, "requests/op"}, "–": {math.NaN(), "p50-ns"},
	} {
		if got := show(c.value, c.unit); got != want {
			t.Errorf("%v %s: %q, want %q", c.value, c.unit, got, want)
		}
	}
}

func TestPlot(t *testing.T) {
	places := [][2]string{{"1,000", "1000"}, {"none", "9"}}
	svg := string(parsed(t).plot("a & b", places, curve{"<Get>", "Read/objects=%s/way=get", "p50-ns"}))
	err := xml.Unmarshal([]byte(svg), new(any))
	if err != nil || !strings.Contains(svg, "&lt;Get&gt;") || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Errorf("%v:\n%s", err, svg)
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
