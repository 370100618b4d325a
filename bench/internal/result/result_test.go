package result

import (
	"math"
	"path/filepath"
	"testing"
	"time"
)

func TestRecorder(t *testing.T) {
	r := NewRecorder()
	if l := r.Latency(); l != (Latency{}) {
		t.Errorf("of nothing: %+v", l)
	}
	for i := 1; i <= 1000; i++ {
		r.Add(time.Duration(i) * time.Microsecond)
	}
	l := r.Latency()
	near := func(got, want float64) bool { return math.Abs(got-want) <= want/500 }
	if l.N != 1000 || !near(l.P50, 500e3) || !near(l.P90, 900e3) || !near(l.P99, 990e3) || !near(l.Max, 1e6) || !near(l.Mean, 500.5e3) {
		t.Errorf("%+v", l)
	}
	r.Add(-time.Second)  // counts as nothing
	r.Add(2 * time.Hour) // as the longest
	if l := r.Latency(); l.N != 1002 || !near(l.Max, float64(longest)) {
		t.Errorf("%+v", l)
	}
}

func TestBuckets(t *testing.T) {
	r := NewRecorder()
	for _, d := range []time.Duration{0, 50, 100, 101, 300, 1000, 9000} {
		r.Add(d * time.Microsecond)
	}
	got := r.Buckets(100*time.Microsecond, 300*time.Microsecond)
	sum := 0
	for _, b := range got {
		sum += b.Count
	}
	// A value at a limit may fall to either side: they are kept with three digits.
	if len(got) != 3 || sum != 7 || got[0].Count < 2 || got[2].Count < 2 || got[2].UpTo != 0 || got[0].UpTo != 1e5 {
		t.Errorf("%+v", got)
	}
}

func TestMedian(t *testing.T) {
	if m := Median(3, 1, 2); m != 2 {
		t.Error(m)
	}
	values := []float64{4, 1, 3, 2}
	if m := Median(values...); m != 2.5 || values[0] != 4 {
		t.Error(m, values)
	}
	if m := Median(); !math.IsNaN(m) {
		t.Error(m)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "performance.json")
	r := &Results{Mode: "quick", Reads: &Reads{Sizes: []Size{{Objects: 100, ObjectBytes: Small, Ops: []Op{{Name: "get", Allocs: 1.5}}}}}}
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	back, err := LoadFile(path)
	if err != nil || back.Reads.Of(100).Find("get").Allocs != 1.5 {
		t.Errorf("%+v, %v", back, err)
	}
	if back.Reads.Of(7) != nil || back.Reads.Of(100).Find("nothing") != nil {
		t.Error("what is not there was found")
	}
}
