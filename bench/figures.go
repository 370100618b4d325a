package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"client-go-lessons/internal/term"
)

// figures are what benchmarks printed.
type figures struct {
	Config  map[string]string             `json:"config"`  // the lines "key: value": where it was measured
	Figures map[string]map[string]float64 `json:"figures"` // by benchmark and unit; medians of all rounds
}

var (
	configLine = regexp.MustCompile(`^([a-z][a-z-]*): +(.+)$`)
	benchLine  = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.+)$`)
)

// parseFigures reads the format of go test -bench (go.dev/design/14313-benchmark-format).
func parseFigures(text string) (figures, error) {
	all := map[string]map[string][]float64{}
	f := figures{Config: map[string]string{}, Figures: map[string]map[string]float64{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := configLine.FindStringSubmatch(line); m != nil {
			f.Config[m[1]] = m[2]
		}
		m := benchLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if all[m[1]] == nil {
			all[m[1]] = map[string][]float64{}
		}
		fields := strings.Fields(m[2])
		for i := 0; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return f, fmt.Errorf("%q: %w", line, err)
			}
			all[m[1]][fields[i+1]] = append(all[m[1]][fields[i+1]], value)
		}
	}
	for name, units := range all {
		f.Figures[name] = map[string]float64{}
		for unit, values := range units {
			f.Figures[name][unit] = median(values)
		}
	}
	if len(all) == 0 {
		return f, errors.New("there is no line of a benchmark")
	}
	return f, nil
}

// median is the middle value; of an even number of values, the mean of the two in the middle.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// get is a figure, or NaN if it was not measured.
func (f figures) get(name, unit string) float64 {
	if value, ok := f.Figures[name][unit]; ok {
		return value
	}
	return math.NaN()
}

// sum adds figures, each named as "benchmark unit"; with a minus before it, a figure is taken away.
func (f figures) sum(names []string) float64 {
	total := 0.0
	for _, name := range names {
		bare, negative := strings.CutPrefix(name, "-")
		benchmark, unit, _ := strings.Cut(bare, " ")
		value := f.get(benchmark, unit)
		if negative {
			value = -value
		}
		total += value
	}
	return total
}

// limit is what a ratio of figures of one run may be. A limit on a count is tight. One that has to do
// with time leaves room for a busy machine: what the page promises is the target.
type limit struct {
	Name   string   `json:"name"`
	Of     []string `json:"of"`
	Per    []string `json:"per,omitempty"` // none: the figure itself
	Target float64  `json:"target,omitempty"`
	Min    *float64 `json:"min,omitempty"` // min and max are for the guard
	Max    *float64 `json:"max,omitempty"`
	Why    string   `json:"why"`
}

func readLimits(path string) ([]limit, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var limits []limit
	if err := json.Unmarshal(text, &limits); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return limits, nil
}

func (l limit) value(f figures) float64 {
	if len(l.Per) == 0 {
		return f.sum(l.Of)
	}
	return f.sum(l.Of) / f.sum(l.Per)
}

// holds is false for what was not measured: so is any comparison with NaN.
func (l limit) holds(value float64) bool {
	return (l.Min == nil || value >= *l.Min) && (l.Max == nil || value <= *l.Max)
}

// guard prints a line for each limit, and tells whether all hold.
func guard(w io.Writer, limits []limit, f figures) bool {
	number := func(f *float64) string {
		if f == nil {
			return ""
		}
		return strconv.FormatFloat(*f, 'g', -1, 64)
	}
	rows, whole := [][]any{{"what", "measured", "at least", "at most", ""}}, true
	for _, l := range limits {
		if l.Min == nil && l.Max == nil {
			continue
		}
		value, verdict := l.value(f), "ok"
		if !l.holds(value) {
			whole, verdict = false, "BROKEN: "+l.Why
		}
		rows = append(rows, []any{l.Name, fmt.Sprintf("%.3g", value), number(l.Min), number(l.Max), verdict})
	}
	fmt.Fprintln(w, strings.Join(term.Table(rows...), "\n"))
	return whole
}
