package result

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency sums up many durations, in nanoseconds.
type Latency struct {
	N    int     `json:"n"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// Recorder collects durations, from one nanosecond to ten minutes, with three significant digits.
// What is out of that range counts as its end. It is for one goroutine at a time.
type Recorder struct {
	h   *hdrhistogram.Histogram
	sum float64
}

const longest = 10 * time.Minute

// NewRecorder makes an empty one.
func NewRecorder() *Recorder {
	return &Recorder{h: hdrhistogram.New(1, int64(longest), 3)}
}

// Add records one duration.
func (r *Recorder) Add(d time.Duration) {
	r.sum += float64(d)
	// It is in range by now, so there is no error.
	_ = r.h.RecordValue(int64(min(max(d, 0), longest)))
}

// N is how many were recorded.
func (r *Recorder) N() int { return int(r.h.TotalCount()) }

// Latency sums up what was recorded.
func (r *Recorder) Latency() Latency {
	if r.N() == 0 {
		return Latency{}
	}
	at := func(p float64) float64 { return float64(r.h.ValueAtPercentile(p)) }
	return Latency{N: r.N(), P50: at(50), P90: at(90), P99: at(99), Max: float64(r.h.Max()), Mean: r.sum / float64(r.N())}
}

// Buckets counts what was recorded up to each limit, and what is above all of them.
func (r *Recorder) Buckets(limits ...time.Duration) []Bucket {
	buckets := make([]Bucket, len(limits)+1)
	for i, l := range limits {
		buckets[i].UpTo = float64(l)
	}
	for _, bar := range r.h.Distribution() {
		at, _ := slices.BinarySearchFunc(limits, bar.To, func(l time.Duration, v int64) int { return cmp.Compare(int64(l), v) })
		buckets[at].Count += int(bar.Count)
	}
	return buckets
}

// Median is the middle value, or the mean of the two in the middle. That of nothing is NaN.
func Median(values ...float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Clone(values)
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Spread is the largest value divided by the smallest: how much a machine was disturbed.
func Spread(values ...float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return slices.Max(values) / slices.Min(values)
}
