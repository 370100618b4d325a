// Package report writes the page docs/performance.md and its plots from results. Whatever it
// concludes it computes: the prose of the page is a template whose sentences depend on the numbers.
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"client-go-lessons/bench/internal/result"
)

//go:embed performance.md.tmpl
var page string

// Plots is the folder of the plots, below that of the page.
const Plots = "performance"

// Write writes the page and the plots, and removes plots of which there are no results.
func Write(dir string, r *result.Results) error {
	files, err := Render(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, Plots), 0o755); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, Plots, "*.svg"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if files[Plots+"/"+filepath.Base(path)] == nil {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Render makes all files, by their paths below docs/.
func Render(r *result.Results) (map[string][]byte, error) {
	files, err := plots(r)
	if err != nil {
		return nil, err
	}
	t, err := template.New("performance.md").Funcs(funcs(r, files)).Parse(page)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, r); err != nil {
		return nil, err
	}
	files["performance.md"] = tidy(text.Bytes())
	return files, nil
}

// columns is how wide the page's lines are.
const columns = 100

// tidy takes away the empty lines and blanks that a template leaves, and wraps the paragraphs.
func tidy(text []byte) []byte {
	var out, words []string
	flush := func() {
		line := ""
		for _, w := range words {
			if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(w) > columns {
				out, line = append(out, line), ""
			}
			line = strings.TrimSpace(line + " " + w)
		}
		if line != "" {
			out = append(out, line)
		}
		words = nil
	}
	fenced := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, " \n")
		fence := strings.HasPrefix(line, "```")
		if !fenced && !fence && line != "" && !strings.ContainsAny(line[:1], "|#!") {
			words = append(words, strings.Fields(line)...)
			continue
		}
		flush()
		if fence {
			fenced = !fenced
		}
		// A table or heading stands by itself, whatever the template has around it.
		if !fenced && strings.HasPrefix(line, "|") && len(out) > 0 && out[len(out)-1] != "" && !strings.HasPrefix(out[len(out)-1], "|") {
			out = append(out, "")
		}
		if line == "" && (len(out) == 0 || out[len(out)-1] == "") {
			continue
		}
		out = append(out, line)
	}
	flush()
	return []byte(strings.TrimSpace(strings.Join(out, "\n")) + "\n")
}

func funcs(r *result.Results, files map[string][]byte) template.FuncMap {
	all := template.FuncMap{
		"dur": Duration, "secs": func(s float64) string { return Duration(s * 1e9) },
		"bytes": Bytes, "digits": digits, "times": Times, "count": Count, "percent": Percent, "table": table, "row": row, "rows": newRows,
		"targets": func() []Target { return Targets(r) },
		"plot": func(name, alt string) string {
			if files[Plots+"/"+name+".svg"] == nil {
				return ""
			}
			return fmt.Sprintf("![%s](%s/%s.svg)", alt, Plots, name)
		},
		"div": func(a, b float64) float64 { return a / b }, "sub": func(a, b float64) float64 { return a - b },
		"add": func(a, b float64) float64 { return a + b }, "float": func(i int) float64 { return float64(i) },
	}
	maps.Copy(all, words(r))
	return all
}

// rows are those of a Markdown table while it is made.
type rows struct{ cells [][]string }

func newRows() *rows { return &rows{} }

// row adds one and prints nothing.
func row(to *rows, cells ...any) string {
	var line []string
	for _, c := range cells {
		line = append(line, fmt.Sprint(c))
	}
	to.cells = append(to.cells, line)
	return ""
}

// table is a Markdown table: the first row is its head, and all columns but the first are numbers.
func table(r *rows) string {
	var b strings.Builder
	for i, cells := range r.cells {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|---%s|\n", strings.Repeat("|---:", len(cells)-1))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Duration writes nanoseconds with two or three digits, as in "1.6 ms".
func Duration(ns float64) string {
	switch {
	case math.IsNaN(ns) || math.IsInf(ns, 0):
		return "–"
	case ns == 0:
		return "0"
	case ns < 0:
		return "−" + Duration(-ns)
	case ns < 999.5:
		return digits(ns) + " ns"
	case ns < 999.5e3:
		return digits(ns/1e3) + " µs"
	case ns < 999.5e6:
		return digits(ns/1e6) + " ms"
	case ns < float64(3*time.Minute):
		return digits(ns/1e9) + " s"
	}
	return digits(ns/6e10) + " min"
}

// Bytes writes a size with two or three digits, in decimal units.
func Bytes(n float64) string {
	switch {
	case math.IsNaN(n):
		return "–"
	case n < 0:
		return "−" + Bytes(-n)
	case n < 999.5:
		return strconv.Itoa(int(math.Round(n))) + " B"
	case n < 999.5e3:
		return digits(n/1e3) + " kB"
	case n < 999.5e6:
		return digits(n/1e6) + " MB"
	}
	return digits(n/1e9) + " GB"
}

// Times writes a ratio, as in "2.4 times".
func Times(ratio float64) string {
	if math.IsNaN(ratio) || math.IsInf(ratio, 0) {
		return "–"
	}
	return digits(ratio) + " times"
}

// Percent writes a share.
func Percent(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	p := share * 100
	if math.Abs(p) >= 10 {
		return strconv.Itoa(int(math.Round(p))) + "%"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + "%"
}

// Count writes a number with commas, and with decimals only where it is small.
func Count(n any) string {
	var f float64
	switch n := n.(type) {
	case int:
		f = float64(n)
	case int64:
		f = float64(n)
	case float64:
		f = n
	}
	if f < 10 && f != math.Trunc(f) {
		// Two digits, but none that is no more than dust, such as an allocation in a million calls.
		places := 1
		if math.Abs(f) < 1 {
			places = 2
		}
		text := strings.TrimRight(strconv.FormatFloat(f, 'f', places, 64), "0")
		if text = strings.TrimSuffix(text, "."); text == "-0" {
			return "0"
		}
		return text
	}
	text := strconv.FormatInt(int64(math.Round(f)), 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func digits(f float64) string {
	switch {
	case f < 9.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	case f < 999.5:
		return strconv.Itoa(int(math.Round(f)))
	}
	return Count(f)
}

// Target is a number that the project wants to reach.
type Target struct {
	What, Limit, Measured string
	State                 string // met, not met or not measured
	Met                   bool
	Key                   string // of the explanation, where it is not met
}

// Targets compares the results with the project's targets.
func Targets(r *result.Results) []Target {
	targets := []Target{
		{What: "a lister's Get against a map behind a mutex", Limit: "at most 3 times", Key: "lister"},
		{What: "a direct Get against a bare HTTP/2 request plus etcd's read", Limit: "at most 1.5 times", Key: "get"},
		{What: "waiting for a written version against the raw watch, p50", Limit: "at most 1.1 times", Key: "wait"},
		{What: "the same, p99", Limit: "at most 1.1 times", Key: "wait99"},
		{What: "one informer's sync of 10,000 against one List of them", Limit: "at most 1.3 times", Key: "sync"},
		{What: "`internal/wire` on a Get", Limit: "under 3%", Key: "wire"},
		{What: "100,000 ConfigMaps", Limit: "all measured, nothing falls over", Key: "huge"},
	}
	for i := range targets {
		t := &targets[i]
		t.Measured, t.State = "–", "not measured in this run"
		ratio, text, limit := measured(r, t.Key)
		if math.IsNaN(ratio) {
			continue
		}
		t.Measured, t.Met, t.State = text, ratio <= limit, "not met"
		if t.Met {
			t.State = "met"
		}
	}
	return targets
}

// measured returns the ratio of a target, how it is written, and its limit.
func measured(r *result.Results, key string) (ratio float64, text string, limit float64) {
	none := math.NaN()
	var thousand *result.Size
	if r.Reads != nil {
		thousand = r.Reads.Of(1000)
	}
	switch key {
	case "lister":
		if thousand != nil {
			ratio = thousand.Find("lister get").Latency.P50 / thousand.Find("map").Latency.P50
			return ratio, Times(ratio), 3
		}
	case "get":
		if thousand != nil && thousand.Find("get").EtcdTime > 0 {
			get, bare := thousand.Find("get"), thousand.Find("livez").Latency.Mean
			ratio = get.Latency.Mean / (bare + get.EtcdTime)
			return ratio, fmt.Sprintf("%s (%s against %s and %s, means)", Times(ratio), Duration(get.Latency.Mean),
				Duration(bare), Duration(get.EtcdTime)), 1.5
		}
	case "wait", "wait99":
		worst, ratio := worstLoad(r.Lag, key)
		if worst != nil {
			_, floor := waitRatio(worst, key)
			return ratio, fmt.Sprintf("%.2f times at most, %s (%.2f times the floor)", ratio, othersWrite(*worst), floor), 1.1
		}
	case "sync":
		if r.Sync != nil {
			a, b := r.Sync.Find("stream", 1, 10_000, result.Small), r.Sync.Find("list", 1, 10_000, result.Small)
			if a != nil && b != nil {
				ratio = a.Seconds / b.Seconds
				return ratio, Times(ratio), 1.3
			}
		}
	case "wire":
		if r.Ourselves != nil {
			w := r.Ourselves.Wire
			own := w.CPU / w.Without.P50
			// Both have to hold: what its own work is of a Get, and what the pairs of Gets say.
			return max(own, w.Ratio-1), fmt.Sprintf("%s (%s of %s); pairs of Gets: %.3f times",
				Percent(own), Duration(w.CPU), Duration(w.Without.P50), w.Ratio), math.Nextafter(0.03, 0)
		}
	case "huge":
		if r.Reads != nil && r.Reads.Of(100_000) != nil && r.Sync != nil {
			if s := r.Sync.Find("stream", 1, 100_000, result.Small); s != nil {
				missing := math.Abs(s.Passed-100_000) / 100_000
				return missing, Bytes(s.Heap/100_000) + " of client heap an object", 0.001
			}
		}
	}
	return none, "", 0
}

// waitRatio compares the wait with the raw watch, by which it is judged, and with the floor, which is
// the later of the event and the answer.
func waitRatio(l *result.Load, key string) (raw, floor float64) {
	switch {
	case key != "wait99":
		return l.Wait.P50 / l.Raw.P50, l.Wait.P50 / l.Floor.P50
	case l.Wait.N < enough:
		return math.NaN(), math.NaN()
	}
	return l.Wait.P99 / l.Raw.P99, l.Wait.P99 / l.Floor.P99
}

// worstLoad is the load of the highest ratio, nil if there is none.
func worstLoad(loads []result.Load, key string) (worst *result.Load, ratio float64) {
	for i := range loads {
		one, _ := waitRatio(&loads[i], key)
		if !math.IsNaN(one) && (worst == nil || one > ratio) {
			worst, ratio = &loads[i], one
		}
	}
	return worst, ratio
}

// othersWrite says the load in a sentence.
func othersWrite(l result.Load) string {
	switch l.Name {
	case "0":
		return "while nobody else writes"
	case "max":
		return "while others write as fast as it goes"
	}
	return "while others write " + l.Name + " a second"
}

// loadName says how much the others write.
func loadName(l result.Load) string {
	if l.Name == "max" {
		return "as fast as it goes"
	}
	return l.Name + " a second"
}

func modesOf(runs []result.SyncRun) (modes []string) {
	for _, r := range runs {
		if !slices.Contains(modes, r.Mode) {
			modes = append(modes, r.Mode)
		}
	}
	return modes
}
