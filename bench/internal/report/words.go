package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/template"

	"client-go-lessons/bench/internal/result"
)

// words are the functions of the template that know the results.
func words(r *result.Results) template.FuncMap {
	return template.FuncMap{
		"thousand": func() *result.Size {
			if r.Reads == nil {
				return nil
			}
			return r.Reads.Of(1000)
		},
		"op": func(s *result.Size, name string) *result.Op { return s.Find(name) },
		"ratio": func(s *result.Size, a, b string) float64 {
			return s.Find(a).Latency.P50 / s.Find(b).Latency.P50
		},
		"allocRatio": func(s *result.Size, a, b string) float64 { return s.Find(a).Alloc / s.Find(b).Alloc },
		"opName":     func(name string) string { return opNames[name] },
		"p99":        p99,
		"wireBytes": func(n float64) string {
			if n < 0.5 {
				return "0"
			}
			return Bytes(n)
		},
		"ifZero": func(n int) string {
			if n == 0 {
				return "–"
			}
			return Count(n)
		},
		"float64":  func(n int64, unit float64) float64 { return float64(n) * unit },
		"provider": func(name string) string { return providers[name] },
		"shrink":   func() float64 { return shrunk(r.Reads) },
		"compressed": func(run *result.SyncRun) bool {
			return run.WireIn < 0.95*run.Passed*float64(run.ObjectBytes) // less than the text alone
		},
		"filtered": func() *filtered { return filteredOf(r.Reads) },
		"pages":    func() string { return pages(r.Reads) },
		"lowest":   func(values []float64) float64 { return slices.Min(values) },
		"growth":   func() *growth { return grown(r.Reads) },
		"cbor":     cbor,
		"mode":     func(m string) string { return modeNames[m] },
		"size":     func(n int) string { return Bytes(float64(n)) },
		"slowest":  func(rounds []float64) float64 { return slices.Max(rounds) },
		"syncOf": func(k, objects, bytes int) *syncs {
			return syncsOf(r.Sync, k, objects, bytes)
		},
		"memoryOf":     func(k int) *memories { return memoriesOf(r.Sync, k) },
		"fills":        func() []*syncs { return fills(r.Sync) },
		"streamAdvice": func() string { return streamAdvice(r.Sync) },
		"than":         than,
		"shareOf":      func() *shares { return sharesOf(r.Sharing) },
		"worst": func(key string) string {
			if l, _ := worstLoad(r.Lag, key); l != nil {
				return l.Name
			}
			return ""
		},
		"floorOfWorst": func(key string) float64 {
			l, _ := worstLoad(r.Lag, key)
			if l == nil {
				return math.NaN()
			}
			_, floor := waitRatio(l, key)
			return floor
		},
		"waits": func(l result.Load, key string) string {
			raw, floor := waitRatio(&l, key)
			return fmt.Sprintf("%.2f times the raw watch and %.2f times the floor", raw, floor)
		},
		"enough": func(l result.Latency) bool { return l.N >= enough },
		"load":   loadName,
		"asked": func(l result.Load) string {
			if l.Asked < 0 {
				return "all it can"
			}
			return fmt.Sprintf("%d/s", l.Asked)
		},
		"lagRows":      lagRows,
		"remediesSeen": remediesSeen,
		"profile":      func(key, order string) string { return profileTable(r.Profiles, key, order) },
	}
}

var opNames = map[string]string{
	"map": "map behind a mutex (limit)", "map, key built": "the same, key built for each call",
	"lister get": "lister Get", "indexer get": "indexer GetByKey", "indexer by label": "indexer ByIndex, 1 label in 100",
	"lister list by label": "lister List by label", "lister list": "lister List",
	"livez": "bare GET /livez (limit)", "get": "Get", "get rv=0": "Get, resourceVersion \"0\"", "get json": "Get in JSON",
	"list by label": "List by label", "list": "List", "list rv=0": "List, resourceVersion \"0\"",
	"list paged": "List in pages of 500", "list json": "List in JSON",
}

var providers = map[string]string{
	"local": "local control plane, etcd without fsync", "kind": "kind", "other": "an existing cluster",
}

// enough calls for a p99: that of fewer would be the slowest one.
const enough = 100

func p99(l result.Latency) string {
	if l.N < enough {
		return "–"
	}
	return Duration(l.P99)
}

// shrunk is by how much the List of 1,000 in protobuf was compressed on its way.
func shrunk(r *result.Reads) float64 {
	for _, e := range r.Encodings {
		if s := r.Of(1000); s != nil && e.Name == "protobuf" && e.Bytes > 0 {
			return 1 - s.Find("list").WireIn/float64(e.Bytes)
		}
	}
	return 0 // not known
}

type growth struct {
	From, To                      int
	List, ListerList, Get, Lister float64
}

// grown compares the smallest and the largest size of small objects.
func grown(r *result.Reads) *growth {
	if r == nil {
		return nil
	}
	var first, last *result.Size
	for i := range r.Sizes {
		s := &r.Sizes[i]
		if s.ObjectBytes > result.Small {
			continue
		}
		if first == nil || s.Objects < first.Objects {
			first = s
		}
		if last == nil || s.Objects > last.Objects {
			last = s
		}
	}
	if first == nil || first == last {
		return nil
	}
	times := func(name string) float64 { return last.Find(name).Latency.P50 / first.Find(name).Latency.P50 }
	return &growth{first.Objects, last.Objects, times("list"), times("lister list"), times("get"), times("lister get")}
}

// filtered compares a List by label, which returns one object in a hundred, with a List of as many.
type filtered struct {
	Of, Returned      int
	ByLabel, Whole    float64 // p50
	Ratio, Difference float64
}

func filteredOf(r *result.Reads) *filtered {
	if r == nil || r.Of(10_000) == nil || r.Of(100) == nil {
		return nil
	}
	f := &filtered{Of: 10_000, Returned: 100, ByLabel: r.Of(10_000).Find("list by label").Latency.P50,
		Whole: r.Of(100).Find("list").Latency.P50}
	f.Ratio, f.Difference = f.ByLabel/f.Whole, f.ByLabel-f.Whole
	return f
}

// pages compares a List in pages with one that is not, at the largest size.
func pages(r *result.Reads) string {
	var last *result.Size
	for i := range r.Sizes {
		if s := &r.Sizes[i]; s.ObjectBytes <= result.Small && s.Objects > 500 && (last == nil || s.Objects > last.Objects) {
			last = s
		}
	}
	const bound = "Pages bound the memory of one answer"
	if last == nil {
		return bound + "."
	}
	ratio := last.Find("list paged").Latency.P50 / last.Find("list").Latency.P50
	of := fmt.Sprintf("the List of %s took %s as long in pages of 500", Count(last.Objects), Times(ratio))
	switch {
	case ratio > 1.05:
		return bound + "; they do not make a List cheaper: " + of + "."
	case ratio < 0.95:
		return bound + ", and here they made a large List faster: " + of + "."
	}
	return bound + "; in time they made no difference here: " + of + "."
}

func cbor(encodings []result.Encoding) string {
	for _, e := range encodings {
		switch {
		case e.Name != "CBOR":
		case e.Status == 200:
			return "This server offers CBOR."
		default:
			return fmt.Sprintf("CBOR is not offered here: the answer is %d. It is behind the feature gate "+
				"`CBORServingAndStorage`, which is alpha and off by default in Kubernetes 1.37.1.", e.Status)
		}
	}
	return ""
}

type syncs struct{ Stream, ListWatch, List *result.SyncRun }

func syncsOf(s *result.Sync, k, objects, bytes int) *syncs {
	if s == nil {
		return nil
	}
	all := &syncs{s.Find("stream", k, objects, bytes), s.Find("list+watch", k, objects, bytes), s.Find("list", k, objects, bytes)}
	if all.Stream == nil || all.ListWatch == nil || all.List == nil {
		return nil
	}
	return all
}

// fills are the sets that 16 caches at once were filled from, in all ways.
func fills(s *result.Sync) (all []*syncs) {
	if s == nil {
		return nil
	}
	for _, r := range s.Runs {
		if r.Mode == "stream" && r.K == 16 {
			if one := syncsOf(s, r.K, r.Objects, r.ObjectBytes); one != nil {
				all = append(all, one)
			}
		}
	}
	return all
}

// than compares by a ratio: what is within 5% is about the same.
func than(ratio float64) string {
	switch {
	case math.IsNaN(ratio) || math.IsInf(ratio, 0):
		return "–"
	case ratio > 1.05 || ratio < 0.95:
		return Times(ratio) + " as much"
	}
	return "about as much"
}

// streamAdvice says what streaming was good for with 16 informers at once, and what it cost.
func streamAdvice(s *result.Sync) string {
	all := fills(s)
	if len(all) == 0 {
		return "Streaming needs no code: leave it on unless your own figures speak against it."
	}
	// each collects, for the sets, streaming's figure as a multiple of that of LIST and WATCH.
	each := func(of func(*result.SyncRun) float64) (low, high float64) {
		low, high = math.Inf(1), math.Inf(-1)
		for _, f := range all {
			ratio := of(f.Stream) / of(f.ListWatch)
			low, high = min(low, ratio), max(high, ratio)
		}
		return low, high
	}
	_, requests := each(func(r *result.SyncRun) float64 { return r.Requests })
	peakLow, peakHigh := each(func(r *result.SyncRun) float64 { return r.HeapPeak })
	allocLow, allocHigh := each(func(r *result.SyncRun) float64 { return r.ServerAlloc })
	timeLow, timeHigh := each(func(r *result.SyncRun) float64 { return r.Seconds })

	var text string
	switch {
	case peakHigh < 0.95:
		text = "Leave streaming on; it needs no code. The heap of your client peaks lower: with 16 at once, at " +
			span(peakLow, peakHigh) + " what LIST and WATCH took"
		if requests <= 0.55 {
			text += ", and a sync is one request instead of two"
		}
		text += "."
	default:
		text = "Streaming needs no code, but did not lower the peak of the client's heap here: with 16 at once it was " +
			span(peakLow, peakHigh) + " that of LIST and WATCH."
		if requests <= 0.55 {
			text += " What it saves is a request: one instead of two."
		}
	}
	switch {
	case allocLow > 1.05:
		text += " The server pays for it: it allocated " + span(allocLow, allocHigh) + " as much."
	case allocHigh < 0.95:
		text += " The server allocated less, too: " + span(allocLow, allocHigh) + " as much."
	default:
		text += " The server allocated " + span(allocLow, allocHigh) + " as much."
	}
	switch {
	case timeLow > 1.05:
		text += " It took longer: " + span(timeLow, timeHigh) + " as long."
	case timeHigh < 0.95:
		text += " It was faster: it took " + span(timeLow, timeHigh) + " as long."
	default:
		text += " It took " + span(timeLow, timeHigh) + " as long."
	}
	return text
}

// span writes one ratio, or the range of several.
func span(low, high float64) string {
	a, b := Times(low), Times(high)
	if a == b {
		return a
	}
	return strings.TrimSuffix(a, " times") + " to " + b
}

type memories struct {
	Objects, ObjectBytes          int
	Stream, ListWatch             result.Memory
	StreamGrowth, ListWatchGrowth float64
}

// noise is what a process's resident memory grows by for reasons of its own.
const noise = 20e6

// Both: both ways grew by more than noise, so that a factor means something.
func (m *memories) Both() bool { return m.StreamGrowth > noise && m.ListWatchGrowth > noise }

// None: neither did, so that no difference was measured.
func (m *memories) None() bool { return m.StreamGrowth <= noise && m.ListWatchGrowth <= noise }

// memoriesOf takes the largest objects.
func memoriesOf(s *result.Sync, k int) *memories {
	if s == nil {
		return nil
	}
	m := &memories{}
	for _, one := range s.Memory {
		m.ObjectBytes = max(m.ObjectBytes, one.ObjectBytes)
	}
	found := 0
	for _, one := range s.Memory {
		if one.ObjectBytes != m.ObjectBytes || one.K != k {
			continue
		}
		m.Objects = one.Objects
		switch one.Mode {
		case "stream":
			m.Stream, m.StreamGrowth = one, one.Growth()
			found++
		case "list+watch":
			m.ListWatch, m.ListWatchGrowth = one, one.Growth()
			found++
		}
	}
	if found != 2 {
		return nil
	}
	return m
}

type shares struct {
	K         int
	One, Many result.Share
}

// sharesOf takes the largest number of handlers.
func sharesOf(all []result.Share) *shares {
	s := &shares{}
	for _, one := range all {
		s.K = max(s.K, one.K)
	}
	for _, one := range all {
		switch {
		case one.K != s.K:
		case one.Factories == 1:
			s.One = one
		default:
			s.Many = one
		}
	}
	if s.One.K == 0 || s.Many.K == 0 {
		return nil
	}
	return s
}

type lagRow struct {
	Name string
	result.Latency
}

func lagRows(l result.Load) []lagRow {
	return []lagRow{
		{"answer", l.Answer}, {"raw watch", l.Raw}, {"floor", l.Floor}, {"store", l.Store}, {"fresh.Waiter", l.Wait},
	}
}

// remediesSeen says which remedies let stale reads through, and what the others cost at the highest
// load.
func remediesSeen(loads []result.Load) string {
	stale := map[string]int{}
	var names []string
	for _, l := range loads {
		for _, r := range l.Remedies {
			if !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
			stale[r.Name] += r.Stale
		}
	}
	if len(names) == 0 {
		return ""
	}
	var leaky, tight []string
	for _, name := range names {
		if stale[name] > 0 {
			leaky = append(leaky, fmt.Sprintf("%q (%s)", name, Count(stale[name])))
		} else {
			tight = append(tight, fmt.Sprintf("%q", name))
		}
	}
	text := "**Seen.** "
	if len(leaky) > 0 {
		text += "Stale reads came with " + strings.Join(leaky, " and ") + ", at all loads together. "
	}
	if len(tight) > 0 {
		text += "None came with " + strings.Join(tight, ", ") + ". "
	}
	last := loads[len(loads)-1]
	var costs []string
	for _, r := range last.Remedies {
		if r.Latency.N >= enough {
			costs = append(costs, fmt.Sprintf("%s for %q", Duration(r.Latency.P99), r.Name))
		}
	}
	if len(costs) == 0 {
		return strings.TrimSpace(text)
	}
	return text + "At the highest load, p99 of a read was " + strings.Join(costs, ", ") + "."
}

func profileTable(profiles map[string]result.Profile, key, order string) string {
	p, ok := profiles[key]
	if !ok {
		return ""
	}
	lines, what := p.Flat, "in the function itself"
	if order == "cum" {
		lines, what = p.Cum, "in the function and what it calls"
	}
	t := newRows()
	row(t, p.What+", by CPU profile", what)
	for _, l := range lines {
		row(t, "`"+l.Func+"`", Percent(l.Share))
	}
	return "\n" + table(t) + "\n"
}
