package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"client-go-lessons/internal/term"
	"client-go-lessons/internal/wire"
)

// fillPage puts each table between its markers, <!-- bench: NAME --> and <!-- bench end -->.
func fillPage(page string, tables map[string]string) (string, error) {
	const begin, end = "<!-- bench: ", "<!-- bench end -->\n"
	parts := strings.Split(page, begin)
	for i, part := range parts[1:] {
		name, rest, ok := strings.Cut(part, " -->\n")
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			return "", fmt.Errorf("the marker bench: %.20q has no end", part)
		}
		table, known := tables[name]
		if !known {
			return "", fmt.Errorf("there is no table %q", name)
		}
		parts[i+1] = name + " -->\n" + table + end + after
		delete(tables, name)
	}
	for name := range tables {
		return "", fmt.Errorf("no marker takes the table %q", name)
	}
	return strings.Join(parts, begin), nil
}

// column is one figure of each row: of the benchmark that is made of name and the row's key.
type column struct{ head, name, unit string }

// table has a row for each label and key. Its cells are shown by their units.
func (f figures) table(first string, rows [][2]string, columns ...column) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |", first)
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.head)
	}
	fmt.Fprintf(&b, "\n|---|%s\n", strings.Repeat("---:|", len(columns)))
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s |", row[0])
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", show(f.get(fmt.Sprintf(c.name, row[1]), c.unit), c.unit))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// show writes a figure with three digits at most; one that was not measured is a dash.
func show(value float64, unit string) string {
	switch {
	case math.IsNaN(value):
		return "–"
	case strings.HasSuffix(unit, "-ns") || unit == "ns/op":
		if value < 995 {
			return fmt.Sprintf("%.0f ns", value)
		}
		return term.Duration(time.Duration(value))
	case strings.Contains(unit, "B/") || strings.HasSuffix(unit, "-B"):
		return wire.Bytes(int64(value))
	case unit == "stale/op":
		return fmt.Sprintf("%.0f%%", value*100)
	case value == math.Trunc(value) || unit == "others/s":
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

// loads are what others write a second while one ConfigMap is written and read.
var loads = [][2]string{{"0", "0"}, {"100", "100"}, {"500", "500"}, {"as many as the machine can", "max"}}

// tables are all tables of the page.
func tables(f figures, limits []limit) map[string]string {
	machine := "| measured on | |\n|---|---|\n"
	for _, row := range [][2]string{{"CPU", "cpu"}, {"cores", "cores"}, {"load before it began", "load"},
		{"Kubernetes", "kubernetes"}, {"cluster", "provider"}, {"client-go", "client-go"}, {"Go", "go"}} {
		machine += fmt.Sprintf("| %s | %s |\n", row[0], f.Config[row[1]])
	}
	targets := "| what | target | measured | |\n|---|---:|---:|---|\n"
	for _, l := range limits {
		if l.Target == 0 {
			continue
		}
		value, verdict := l.value(f), "met"
		switch {
		case math.IsNaN(value):
			verdict = "not measured"
		case value > l.Target:
			verdict = "**not met**"
		}
		targets += fmt.Sprintf("| %s | at most %g | %.3g | %s |\n", l.Name, l.Target, value, verdict)
	}
	ways := [][2]string{
		{"map behind a mutex (the limit)", "map"}, {"lister Get", "lister-get"},
		{"indexer ByIndex, 1 label in 100", "indexer-label"}, {"lister List, 1 label in 100", "lister-list-label"},
		{"lister List", "lister-list"}, {"bare GET /livez (the limit)", "livez"}, {"Get", "get"},
		{`Get, resourceVersion "0"`, "get-rv0"}, {"List, 1 label in 100", "list-label"},
		{"List", "list"}, {`List, resourceVersion "0"`, "list-rv0"}, {"List in pages of 500", "list-paged"},
		{"List in JSON", "list-json"},
	}
	syncs := [][2]string{
		{"1,000, streaming WATCH", "objects=1000/by=stream"}, {"1,000, LIST + WATCH", "objects=1000/by=list-watch"},
		{"1,000, List alone (the limit)", "objects=1000/by=list"},
		{"10,000, streaming WATCH", "objects=10000/by=stream"}, {"10,000, LIST + WATCH", "objects=10000/by=list-watch"},
		{"10,000, List alone (the limit)", "objects=10000/by=list"},
	}
	shares := [][2]string{
		{"1 handler, 1 factory", "handlers=1/factories=1"},
		{"4 handlers, 1 factory", "handlers=4/factories=1"}, {"4 handlers, 4 factories", "handlers=4/factories=4"},
		{"16 handlers, 1 factory", "handlers=16/factories=1"}, {"16 handlers, 16 factories", "handlers=16/factories=16"},
	}
	peers := [][2]string{
		{"read the cache at once", "cache"}, {"`fresh.Waiter`", "fresh"},
		{"`fresh.Reached`, else live", "live-if-behind"}, {"live Get", "live"},
		{"controller-runtime's client", "controller-runtime"}, {"`cache.MutationCache`", "mutation-cache"}, {"poll the cache each 10 ms", "poll-10ms"},
		{"poll the cache each 100 ms", "poll-100ms"},
	}
	const read, sync, share = "Read/objects=1000/way=%s", "Sync/%s", "Share/objects=10000/%s"
	const lag, quiet, busy = "AfterWrite/others=%s/read=fresh", "AfterWrite/others=0/read=%s", "AfterWrite/others=500/read=%s"
	return map[string]string{
		"machine": machine,
		"targets": targets,
		"reads": f.table("p50 of one read", ways,
			column{"100 objects", "Read/objects=100/way=%s", "p50-ns"}, column{"1,000", read, "p50-ns"},
			column{"10,000", "Read/objects=10000/way=%s", "p50-ns"}),
		"price": f.table("one read of 1,000 objects", ways, column{"p99", read, "p99-ns"},
			column{"requests", read, "requests/op"}, column{"received", read, "received-B/op"},
			column{"allocated", read, "B/op"}, column{"allocations", read, "allocs/op"}),
		"sync": f.table("one cache of", syncs, column{"time", sync, "p50-ns"}, column{"requests", sync, "requests/op"},
			column{"received", sync, "received-B/op"}, column{"heap", sync, "heap-B"}, column{"an object", sync, "heap-B/object"},
			column{"heap at its peak", sync, "peak-B"}, column{"the server allocated", sync, "server-B/op"}),
		"share": f.table("10,000 ConfigMaps for", shares, column{"watches", share, "watches/op"},
			column{"heap", share, "heap-B"}, column{"received", share, "received-B/op"}, column{"time", share, "p50-ns"},
			column{"the server allocated", share, "server-B/op"}),
		"lag": f.table("writes a second by others, asked", loads, column{"done", lag, "others/s"},
			column{"answer p50", lag, "answer-p50-ns"}, column{"p99", lag, "answer-p99-ns"},
			column{"event p50", lag, "event-p50-ns"}, column{"p99", lag, "event-p99-ns"},
			column{"fresh p50", lag, "fresh-p50-ns"}, column{"p99", lag, "fresh-p99-ns"},
			column{"stale at the answer", "AfterWrite/others=%s/read=cache", "stale/op"}),
		"peers": f.table("after the answer", peers, column{"p50", quiet, "after-p50-ns"}, column{"p99", quiet, "after-p99-ns"},
			column{"requests", quiet, "requests/op"}, column{"stale", quiet, "stale/op"},
			column{"busy: p50", busy, "after-p50-ns"}, column{"p99", busy, "after-p99-ns"},
			column{"requests", busy, "requests/op"}, column{"stale", busy, "stale/op"}),
		"wire": f.table("a Get, without network and server", [][2]string{{"not counted", "false"}, {"counted", "true"}},
			column{"time", "Wire/counted=%s", "p50-ns"}, column{"allocations", "Wire/counted=%s", "allocs/op"}),
	}
}
