package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"client-go-lessons/bench/internal/result"
)

const docs = "../../../docs"

// TestCommittedPage: the page and its plots are what the program makes of the committed figures.
func TestCommittedPage(t *testing.T) {
	r, err := result.LoadFile(filepath.Join(docs, "performance.json"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := Render(r)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/%s is not what the figures say (%v): cd bench && go run . -render", name, err)
		}
	}
	plots, err := filepath.Glob(filepath.Join(docs, Plots, "*"))
	if err != nil || len(plots) != len(files)-1 {
		t.Errorf("%d plots in docs/%s, want %d (%v)", len(plots), Plots, len(files)-1, err)
	}
}

// TestPlots: each is well-formed, names its axes and shows no color that a page could swallow.
func TestPlots(t *testing.T) {
	files, err := Render(whole())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"reads", "sync", "sync-big", "memory-big", "sharing", "lag", "histogram", "remedies"} {
		svg := files[Plots+"/"+name+".svg"]
		if svg == nil {
			t.Errorf("no plot %s", name)
			continue
		}
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
		}
		if n := strings.Count(string(svg), "<text"); n < 6 {
			t.Errorf("%s has %d texts", name, n)
		}
		for _, color := range []string{"#FFFFFF", "#000000"} {
			if strings.Contains(strings.ToUpper(string(svg)), color) {
				t.Errorf("%s uses %s", name, color)
			}
		}
	}
}

// TestConclusionsFollow: what the page says depends on the figures.
func TestConclusionsFollow(t *testing.T) {
	page := func(r *result.Results) string {
		t.Helper()
		files, err := Render(r)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(files["performance.md"])), " ") // wherever a line ends
	}
	good := page(whole())
	for _, c := range []struct {
		name   string
		change func(*result.Results)
		says   string
	}{
		{"a slow lister", func(r *result.Results) { r.Reads.Sizes[1].Find("lister get").Latency.P50 = 500 },
			"**Why a lister's Get is not met.**"},
		{"a slow Get", func(r *result.Results) { r.Reads.Sizes[1].Find("get").Latency.Mean = 9e6 },
			"**Why a direct Get is not met.**"},
		{"a slow wait", func(r *result.Results) { r.Lag[1].Wait.P99 *= 2 }, "**Why waiting for a written version is not met at p99.**"},
		{"a slow sync", func(r *result.Results) { r.Sync.Runs[0].Seconds *= 3 }, "**Why an informer's sync is not met.**"},
		{"a wait that is slow under load", func(r *result.Results) { r.Lag[3].Wait.P50 *= 2 }, "waits for its turn while"},
		{"a wait that is slow against the raw watch alone", func(r *result.Results) { r.Lag[2].Raw.P50 /= 2 },
			"2.10 times at most, while others write 500 a second (1.05 times the floor)"},
		{"an answer after the event", func(r *result.Results) { r.Lag[2].Raw.P50 /= 2 }, "the answer tends to come after the event"},
		{"a dear wire", func(r *result.Results) { r.Ourselves.Wire.CPU = 1e6 }, "**Why `internal/wire` is not met.**"},
		{"a wire that the pairs see", func(r *result.Results) { r.Ourselves.Wire.Ratio = 1.031 }, "**Why `internal/wire` is not met.**"},
		{"rounds on both sides of 1", func(r *result.Results) { r.Ourselves.Wire.Ratios[0] = 0.98 }, "larger than what it adds"},
		{"no gain from rv 0", func(r *result.Results) { r.Reads.Sizes[1].Find("get rv=0").Latency.P50 = 3e6 }, "no gain here"},
		{"CBOR", func(r *result.Results) { r.Reads.Encodings[1].Status = 200 }, "This server offers CBOR."},
		{"another provider", func(r *result.Results) { r.Machine.Provider = "kind" }, "those of the API server alone"},
		{"server memory that is noise", func(r *result.Results) { setGrowth(r, 400e3, 1.7e6) }, "No difference could be measured"},
		{"server memory of one way that is noise", func(r *result.Results) { setGrowth(r, 400e3, 90e6) }, "a factor would mean nothing"},
		{"streaming that peaks higher", func(r *result.Results) { r.Sync.Find("stream", 16, 400, result.Big).HeapPeak = 9e9 },
			"did not lower the peak"},
		{"streaming that is cheap for the server", func(r *result.Results) {
			for i := range r.Sync.Runs {
				r.Sync.Runs[i].ServerAlloc = r.Sync.Runs[i].HeapPeak
			}
		}, "The server allocated less, too"},
		{"filtering that is dear", func(r *result.Results) { r.Reads.Of(10_000).Find("list by label").Latency.P50 = 13e6 },
			"looking through the others cost about 12 ms"},
		{"dear pages", func(r *result.Results) { r.Reads.Of(100_000).Find("list paged").Latency.P50 *= 1.5 }, "do not make a List cheaper"},
		{"cheap pages", func(r *result.Results) { r.Reads.Of(100_000).Find("list paged").Latency.P50 /= 2 }, "made a large List faster"},
		{"an answer that grows by gzip", func(r *result.Results) { r.Reads.Encodings[0].Bytes = 9e5 }, "did not get smaller"},
		{"a cached Get that asks etcd", func(r *result.Results) { r.Reads.Of(1000).Find("get rv=0").EtcdGets = 0.5 }, "counted 0.5 reads of etcd"},
		{"a stream that is not compressed", func(r *result.Results) { r.Sync.Find("stream", 1, 10_000, result.Small).WireIn = 2e7 },
			"the stream did not"},
		{"a stream that peaks", func(r *result.Results) { r.Sync.Find("stream", 1, 10_000, result.Small).HeapPeak = 9e9 },
			"peaked no lower"},
		{"a remote server", func(r *result.Results) { r.Machine.Provider = "other" }, "crosses a network"},
		{"a set whose memory failed", func(r *result.Results) { r.Skipped = map[string]string{"memory": "out of it"} },
			"Not all of it was measured: out of it."},
		{"several runs of sharing", func(r *result.Results) { r.Sharing[0].Rounds = 3 }, "medians of 3 runs"},
		{"a wire to take out", func(r *result.Results) { r.Ourselves.Wire.CPU = 1e6 }, "Take the counter out"},
		{"a remedy that leaks", func(r *result.Results) { r.Lag[0].Remedies[1].Stale = 3 }, `"wait" (3)`},
	} {
		r := whole()
		c.change(r)
		if strings.Contains(good, c.says) || !strings.Contains(page(r), c.says) {
			t.Errorf("%s: want %q on the page, and only then", c.name, c.says)
		}
	}
	// Of few samples there is no p99, in no table, sentence or plot.
	few := whole()
	for i := range few.Lag {
		l := &few.Lag[i]
		for _, one := range []*result.Latency{&l.Answer, &l.Raw, &l.Floor, &l.Store, &l.Wait, &l.Behind} {
			one.N, one.P99 = 99, 7.77e9
		}
		for j := range l.Remedies {
			l.Remedies[j].Latency.N, l.Remedies[j].Latency.P99 = 99, 7.77e9
		}
	}
	if text := page(few); strings.Contains(text, "7.8 s") || strings.Contains(text, "remedies.svg") {
		t.Error("a p99 of 99 samples is on the page")
	}
	if empty := page(&result.Results{}); !strings.Contains(empty, "not measured in this run") {
		t.Error("a run without results has targets")
	}
}

// setGrowth gives the server's memory that growth by streaming and by LIST and WATCH.
func setGrowth(r *result.Results, stream, listWatch float64) {
	for i := range r.Sync.Memory {
		m := &r.Sync.Memory[i]
		m.Rounds, m.Peak = nil, m.Before+map[string]float64{"stream": stream, "list+watch": listWatch}[m.Mode]
	}
}

func TestPageIsTidy(t *testing.T) {
	files, err := Render(whole())
	if err != nil {
		t.Fatal(err)
	}
	page := string(files["performance.md"])
	for i, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "!") && utf8.RuneCountInString(line) > columns {
			t.Errorf("line %d is %d columns wide: %s", i+1, utf8.RuneCountInString(line), line)
		}
	}
	for _, bad := range []string{"\n\n\n", "NaN", "<no value>", "%!", "+Inf"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		Duration(52): "52 ns", Duration(1600): "1.6 µs", Duration(12.4e6): "12 ms", Duration(0): "0", Duration(2.5e9): "2.5 s",
		Duration(math.NaN()): "–", Duration(600e9): "10 min", Duration(999.6): "1.0 µs",
		Bytes(12): "12 B", Bytes(1400): "1.4 kB", Bytes(2e9): "2.0 GB", Bytes(-5e6): "−5.0 MB",
		Times(2.44): "2.4 times", Times(22469): "22,469 times", Percent(0.008): "0.8%", Percent(0.45): "45%",
		Count(1234567): "1,234,567", Count(1.5): "1.5", Count(0.13): "0.13", Count(100): "100",
		Count(2e-6): "0", Count(-2e-6): "0", Count(0.1): "0.1", Count(9.97): "10",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// whole has something of everything, such that all targets are met.
func whole() *result.Results {
	lat := func(p50 float64) result.Latency {
		return result.Latency{N: 1000, P50: p50, P90: 2 * p50, P99: 3 * p50, Max: 4 * p50, Mean: p50}
	}
	r := &result.Results{Mode: "full", Machine: result.Machine{Provider: "local", Cores: 2}}
	r.Reads = &result.Reads{
		Encodings: []result.Encoding{{Name: "protobuf", Status: 200, Bytes: 2e6}, {Name: "CBOR", Status: 406}}}
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		s := result.Size{Objects: n, ObjectBytes: result.Small}
		for name := range opNames {
			s.Ops = append(s.Ops, result.Op{Name: name, Latency: lat(1.5e6), Alloc: 1, WireIn: 1e6})
		}
		s.Find("map").Latency, s.Find("lister get").Latency = lat(20), lat(50)
		s.Find("livez").Latency, s.Find("get rv=0").Latency = lat(5e5), lat(1e6)
		s.Find("get").EtcdGets, s.Find("get").EtcdTime = 1, 1e6
		s.Find("indexer by label").Latency = lat(100)
		r.Reads.Sizes = append(r.Reads.Sizes, s)
	}
	r.Sync = &result.Sync{}
	for _, set := range [][2]int{{10_000, result.Small}, {400, result.Big}, {100_000, result.Small}} {
		for _, k := range []int{1, 4, 16} {
			for i, mode := range []string{"stream", "list+watch", "list"} {
				run := result.SyncRun{Mode: mode, K: k, Objects: set[0], ObjectBytes: set[1], Seconds: float64(k),
					Rounds: []float64{float64(k)}, Heap: 3e7, HeapPeak: 3e7 * float64(1+i), ServerAlloc: 3e7 / float64(1+i),
					Requests: float64(k * min(1+i, 2)), Passed: float64(k * set[0])}
				r.Sync.Runs = append(r.Sync.Runs, run)
				r.Sync.Memory = append(r.Sync.Memory, result.Memory{Mode: mode, K: k, Objects: set[0], ObjectBytes: set[1],
					Before: 3e8, Peak: 4e8 + float64(i)*1e8})
			}
		}
	}
	for _, k := range []int{1, 4, 16} {
		r.Sharing = append(r.Sharing, result.Share{K: k, Factories: 1, Objects: 10_000, Heap: 3e7, WireIn: 1, ClientCPU: 1, ServerCPU: 1})
		if k > 1 {
			r.Sharing = append(r.Sharing, result.Share{K: k, Factories: k, Objects: 10_000, Heap: 3e7 * float64(k), WireIn: 1, ClientCPU: 1, ServerCPU: 1})
		}
	}
	for _, name := range []string{"0", "100", "500", "max"} {
		r.Lag = append(r.Lag, result.Load{Name: name, Written: 900, Probes: 100, Stale: 20, Answer: lat(1e6), Raw: lat(1e6),
			Floor: lat(1e6), Store: lat(1e6), Wait: lat(1.05e6), Behind: lat(1e5),
			Histogram: []result.Bucket{{UpTo: 1e5, Count: 60}, {Count: 40}},
			Remedies:  []result.Remedy{{Name: "hope", Reads: 10, Stale: 2, Latency: lat(200)}, {Name: "wait", Reads: 10, Latency: lat(300)}}})
	}
	r.Ourselves = &result.Ourselves{
		Wire:   result.Wire{Pairs: 10, With: lat(1e6), Without: lat(1e6), Ratio: 1.01, Ratios: []float64{1.005, 1.02}, CPU: 2e3, CPUWithout: 3e4, Allocs: 12, AllocsTotal: 117},
		Start:  &result.Start{Rounds: make([]result.StartRound, 3), Whole: 3, Etcd: 0.2, Server: 2},
		Warm:   &result.Clone{Clone: 0.1, Up: 3, Lesson: 1, Total: 4.1, Build: 20},
		Cold:   &result.Clone{Clone: 0.1, Up: 600, Lesson: 30, Total: 630, Build: 620},
		Suites: &result.Suite{E2E: 90, Sum: 30, Lessons: map[string]float64{"01-direct": 30}},
	}
	r.Profiles = map[string]result.Profile{"lister get": {What: "lister Get", Flat: []result.Line{{Func: "x", Share: 0.5}}}}
	return r
}
