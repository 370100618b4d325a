package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/bench/internal/result"
)

// errBroken says that the guard has told already what is wrong.
var errBroken = errors.New("a limit is broken")

// limit is what a ratio may be. A limit on a count is tight; one that has to do with time leaves
// room for a busy machine.
type limit struct {
	Name string   `json:"name"`
	Min  *float64 `json:"min,omitempty"`
	Max  *float64 `json:"max,omitempty"`
	Why  string   `json:"why"`
}

func (l limit) holds(value float64) bool {
	return (l.Min == nil || value >= *l.Min) && (l.Max == nil || value <= *l.Max)
}

func (l limit) String() string {
	text := func(f *float64) string { return strconv.FormatFloat(*f, 'g', -1, 64) }
	switch {
	case l.Min == nil && l.Max == nil:
		return "any"
	case l.Min == nil:
		return "at most " + text(l.Max)
	case l.Max == nil:
		return "at least " + text(l.Min)
	case *l.Min == *l.Max:
		return text(l.Min)
	}
	return text(l.Min) + " to " + text(l.Max)
}

func readLimits(path string) ([]limit, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var limits []limit
	if err := json.Unmarshal(raw, &limits); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return limits, nil
}

// guard measures little, makes ratios of it and compares them with the limits.
func (l *lab) guard(ctx context.Context, path string) error {
	limits, err := readLimits(path)
	if err != nil {
		return err
	}
	began := time.Now()
	values, err := l.ratios(ctx)
	if err != nil {
		return err
	}
	l.say.line("measured in %.0f s", time.Since(began).Seconds())
	return judge(os.Stdout, limits, values)
}

// judge prints a line for each limit. A limit of which nothing was measured is broken, too.
func judge(w io.Writer, limits []limit, values map[string]float64) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "ratio\tmeasured\tlimit\t")
	broken, known := 0, map[string]bool{}
	for _, limit := range limits {
		known[limit.Name] = true
		value, measured := values[limit.Name]
		text, verdict := strconv.FormatFloat(value, 'g', 3, 64), "ok"
		if !measured {
			text, verdict = "nothing", "BROKEN: nobody measures that"
		} else if !limit.holds(value) {
			verdict = "BROKEN: " + limit.Why
		}
		if verdict != "ok" {
			broken++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", limit.Name, text, limit, verdict)
	}
	for name := range values {
		if !known[name] {
			broken++
			fmt.Fprintf(table, "%s\t%.3g\tnone\tBROKEN: give it a limit\n", name, values[name])
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if broken > 0 {
		fmt.Fprintf(w, "%d of %d limits are broken\n", broken, len(limits))
		return errBroken
	}
	return nil
}

// ratios measures what the limits are about. Counts are exact; times are medians of ways that took
// turns.
func (l *lab) ratios(ctx context.Context) (map[string]float64, error) {
	values := map[string]float64{}
	if err := l.readRatios(ctx, values); err != nil {
		return nil, err
	}
	if err := l.syncRatios(ctx, values); err != nil {
		return nil, err
	}
	if err := l.lagRatios(ctx, values); err != nil {
		return nil, err
	}
	w, err := l.wireCost(ctx, 900, 9)
	if err != nil {
		return nil, err
	}
	values["get with wire / without"] = w.Ratio
	values["allocations that wire adds to a get"] = w.Allocs
	return values, nil
}

func (l *lab) readRatios(ctx context.Context, values map[string]float64) error {
	l.say.step("guard: reads")
	r, err := l.newReader(ctx, small(1000))
	if err != nil {
		return err
	}
	defer r.stop()
	ops, err := r.measure(ctx, r.pick("map", "lister get", "livez", "get", "list", "list paged", "list by label"),
		effort{slice: 300 * time.Millisecond, rounds: 5, least: 10})
	if err != nil {
		return err
	}
	size := result.Size{Ops: ops}
	p50 := func(name string) float64 { return size.Find(name).Latency.P50 }
	values["lister get / map"] = p50("lister get") / p50("map")
	values["get / lister get"] = p50("get") / p50("lister get")
	values["get / livez"] = p50("get") / p50("livez")
	values["requests a lister get"] = size.Find("lister get").Requests
	values["requests a get"] = size.Find("get").Requests
	values["requests a paged list"] = size.Find("list paged").Requests
	values["list by label / list, bytes"] = size.Find("list by label").WireIn / size.Find("list").WireIn
	return l.typedAnswer(ctx, r.ns, values)
}

// typedAnswer looks at the encoding in which a typed client is answered.
func (l *lab) typedAnswer(ctx context.Context, ns string, values map[string]float64) error {
	seen := &seenType{}
	config := rest.CopyConfig(l.cluster.Config)
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { seen.next = rt; return seen })
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if _, err := client.CoreV1().ConfigMaps(ns).Get(ctx, item(0), metav1.GetOptions{}); err != nil {
		return err
	}
	values["a typed client is answered in protobuf"] = 0
	if strings.HasPrefix(seen.last, protobuf) {
		values["a typed client is answered in protobuf"] = 1
	}
	return nil
}

// seenType remembers the Content-Type of the last answer.
type seenType struct {
	next http.RoundTripper
	last string
}

func (s *seenType) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(req)
	if err == nil {
		s.last = resp.Header.Get("Content-Type")
	}
	return resp, err
}

func (s *seenType) WrappedRoundTripper() http.RoundTripper { return s.next }

func (l *lab) syncRatios(ctx context.Context, values map[string]float64) error {
	runs, err := l.syncs(ctx, small(1000), []int{1}, 7)
	if err != nil {
		return err
	}
	s := &result.Sync{Runs: runs}
	of := func(mode string) *result.SyncRun { return s.Find(mode, 1, 1000, result.Small) }
	values["requests of a sync"] = of(stream).Requests
	values["requests of a sync by list"] = of(listWatch).Requests
	values["sync / list"] = of(stream).Seconds / of(list).Seconds
	values["heap of a sync / list"] = of(stream).Heap / of(list).Heap

	shares, err := l.sharing(ctx, small(1000), []int{4}, 20, 1)
	if err != nil {
		return err
	}
	values["watches of 4 handlers on 1 factory"] = shares[0].Watches
	values["watches of 4 handlers on 4 factories"] = shares[1].Watches
	values["heap of 4 factories / 1"] = shares[1].Heap / shares[0].Heap
	return nil
}

func (l *lab) lagRatios(ctx context.Context, values map[string]float64) error {
	got, err := l.lag(ctx, loads[:1], 120, 1, 4)
	if err != nil {
		return err
	}
	values["wait / raw watch, p50"] = got[0].Wait.P50 / got[0].Raw.P50
	for _, r := range got[0].Remedies {
		if r.Name == waitRemedy {
			values["stale reads after a wait"] = float64(r.Stale)
			values["requests a read, waiting"] = r.Requests
		}
	}
	return nil
}
