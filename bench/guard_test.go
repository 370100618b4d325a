package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func number(f float64) *float64 { return &f }

func TestJudge(t *testing.T) {
	limits := []limit{
		{Name: "requests", Min: number(1), Max: number(1), Why: "a Get is one request"},
		{Name: "ratio", Max: number(3), Why: "it is a map"},
		{Name: "gain", Min: number(100), Why: "memory is faster"},
	}
	good := map[string]float64{"requests": 1, "ratio": 2.9, "gain": 100}
	if err := judge(io.Discard, limits, good); err != nil {
		t.Errorf("all is well: %v", err)
	}
	for name, c := range map[string]struct {
		change map[string]float64
		says   string
	}{
		"a count too high":        {map[string]float64{"requests": 2}, "a Get is one request"},
		"a count too low":         {map[string]float64{"requests": 0}, "a Get is one request"},
		"a ratio too high":        {map[string]float64{"ratio": 3.1}, "it is a map"},
		"a gain too low":          {map[string]float64{"gain": 99}, "memory is faster"},
		"something without limit": {map[string]float64{"new": 1}, "give it a limit"},
	} {
		values := map[string]float64{}
		for _, m := range []map[string]float64{good, c.change} {
			for k, v := range m {
				values[k] = v
			}
		}
		var out strings.Builder
		if err := judge(&out, limits, values); !errors.Is(err, errBroken) || !strings.Contains(out.String(), "BROKEN: "+c.says) {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
	var out strings.Builder
	if err := judge(&out, limits, map[string]float64{"requests": 1, "ratio": 1}); !errors.Is(err, errBroken) {
		t.Errorf("a limit of which nothing was measured: %v\n%s", err, out.String())
	}
}

// TestLimits: the file can be read, and each limit says what it is for.
func TestLimits(t *testing.T) {
	limits, err := readLimits("limits.json")
	if err != nil || len(limits) == 0 {
		t.Fatal(limits, err)
	}
	seen := map[string]bool{}
	for _, l := range limits {
		if l.Name == "" || l.Why == "" || l.Min == nil && l.Max == nil || seen[l.Name] {
			t.Errorf("%+v: want a name of its own, a limit and a reason", l)
		}
		seen[l.Name] = true
	}
}
