// Package result holds what a run has measured, as it is written to docs/performance.json, and the
// few statistics that are made of it. Times are in nanoseconds unless a name says seconds.
package result

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Results are those of one run.
type Results struct {
	Taken   time.Time `json:"taken"`
	Mode    string    `json:"mode"` // bench, full or quick
	Seconds float64   `json:"seconds"`
	Machine Machine   `json:"machine"`

	Reads     *Reads             `json:"reads,omitempty"`
	Sync      *Sync              `json:"sync,omitempty"`
	Sharing   []Share            `json:"sharing,omitempty"`
	Lag       []Load             `json:"lag,omitempty"`
	Ourselves *Ourselves         `json:"ourselves,omitempty"`
	Profiles  map[string]Profile `json:"profiles,omitempty"`
	// Skipped says why a part was not measured.
	Skipped map[string]string `json:"skipped,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	MemoryMB   int64  `json:"memoryMB"`
	OS         string `json:"os"`
	Go         string `json:"go"`
	ClientGo   string `json:"clientGo"`
	Kubernetes string `json:"kubernetes"`
	Provider   string `json:"provider"` // of the cluster: local, kind or other
}

// Reads is the first part: what one read costs.
type Reads struct {
	Sizes     []Size     `json:"sizes"`
	Encodings []Encoding `json:"encodings"`
}

// Size is one number of objects.
type Size struct {
	Objects     int  `json:"objects"`
	ObjectBytes int  `json:"objectBytes"`
	Ops         []Op `json:"ops"`
}

// Op is one way to read. What is not a latency is per call.
type Op struct {
	Name     string  `json:"name"`
	Kind     string  `json:"kind"` // limit, memory or server
	Latency  Latency `json:"latency"`
	Allocs   float64 `json:"allocs"`
	Alloc    float64 `json:"allocBytes"`
	WireIn   float64 `json:"wireInBytes"`
	WireOut  float64 `json:"wireOutBytes"`
	Requests float64 `json:"requests"`
	// Of Gets: how many reads of etcd the API server counted during these very calls, and the mean
	// time that it waited for one.
	EtcdGets float64 `json:"etcdGets,omitempty"`
	EtcdTime float64 `json:"etcdTime,omitempty"`
}

// Encoding is a media type in which an object can be asked for.
type Encoding struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Status int    `json:"status"` // of the answer
	Bytes  int    `json:"bytes"`  // of a List of 1,000, before compression
}

// Sync is the second part: how a cache fills.
type Sync struct {
	Runs []SyncRun `json:"runs"`
	// Memory was taken on a cluster made for it, whose server was started anew for each.
	Memory []Memory `json:"memory,omitempty"`
}

// SyncRun is k informers, or Lists, begun at once. Times and counts are medians of the rounds.
type SyncRun struct {
	Mode        string    `json:"mode"` // stream, list+watch or list
	K           int       `json:"k"`
	Objects     int       `json:"objects"`
	ObjectBytes int       `json:"objectBytes"`
	Rounds      []float64 `json:"roundSeconds"`
	Seconds     float64   `json:"seconds"`
	Requests    float64   `json:"requests"`
	WireIn      float64   `json:"wireInBytes"`
	Heap        float64   `json:"heapBytes"`     // kept by the client
	HeapPeak    float64   `json:"heapPeakBytes"` // of the client, at most
	Alloc       float64   `json:"allocBytes"`    // by the client
	ServerAlloc float64   `json:"serverAlloc"`   // bytes that the API server allocated
	ServerCPU   float64   `json:"serverCPU"`     // seconds
	ClientCPU   float64   `json:"clientCPU"`     // seconds
	Passed      float64   `json:"passed"`        // objects that came, of k times Objects
}

// Memory is the API server's resident memory before and at most during a sync of k: medians of the
// rounds.
type Memory struct {
	Mode        string  `json:"mode"`
	K           int     `json:"k"`
	Objects     int     `json:"objects"`
	ObjectBytes int     `json:"objectBytes"`
	Before      float64 `json:"beforeBytes"`
	Peak        float64 `json:"peakBytes"`
	// Rounds are the growths, from before to peak.
	Rounds []float64 `json:"roundGrowthBytes,omitempty"`
}

// Growth is the median of the rounds' growths.
func (m Memory) Growth() float64 {
	if len(m.Rounds) == 0 {
		return m.Peak - m.Before
	}
	return Median(m.Rounds...)
}

// Share is the third part: k handlers, on one factory or on k.
type Share struct {
	K           int     `json:"k"`
	Factories   int     `json:"factories"`
	Objects     int     `json:"objects"`
	Updates     int     `json:"updates"`
	Watches     float64 `json:"watches"`
	Heap        float64 `json:"heapBytes"`
	WireIn      float64 `json:"wireInBytes"`
	Seconds     float64 `json:"syncSeconds"`
	ClientCPU   float64 `json:"clientCPU"`
	ServerCPU   float64 `json:"serverCPU"`
	ServerAlloc float64 `json:"serverAlloc"`
	Rounds      int     `json:"rounds,omitempty"` // of which these are medians
	Told        int64   `json:"told"`             // calls of all handlers
}

// Load is the fourth part: how far behind a cache is while others write.
type Load struct {
	Name    string  `json:"name"` // 0, 100, 500 or max
	Asked   int     `json:"asked"`
	Written float64 `json:"written"` // a second, by others, as it was
	Probes  int     `json:"probes"`
	Stale   int     `json:"stale"` // probes of which the cache did not know when the answer came

	// From the moment at which the write was sent.
	Answer Latency `json:"answer"`
	Raw    Latency `json:"raw"`   // a raw watch has the event
	Floor  Latency `json:"floor"` // the later of the two above
	Store  Latency `json:"store"` // the informer's handler knows, so the store has it
	Wait   Latency `json:"wait"`  // fresh.Waiter returns
	// From the moment at which the write was answered, 0 where the cache was first.
	Behind    Latency  `json:"behind"`
	Histogram []Bucket `json:"histogram"`

	Remedies []Remedy `json:"remedies"`
}

// Bucket counts the probes that were behind for up to UpTo, and longer than the bucket before.
type Bucket struct {
	UpTo  float64 `json:"upTo"` // 0 is the last one, without a limit
	Count int     `json:"count"`
}

// Remedy is one of lesson 04's, on the same work as the others.
type Remedy struct {
	Name     string  `json:"name"`
	Reads    int     `json:"reads"`
	Stale    int     `json:"stale"`
	Requests float64 `json:"requests"` // a read
	Latency  Latency `json:"latency"`
}

// Ourselves is the fifth part: what this repository's own machinery costs.
type Ourselves struct {
	Wire   Wire   `json:"wire"`
	Start  *Start `json:"start,omitempty"`
	Warm   *Clone `json:"warm,omitempty"`
	Cold   *Clone `json:"cold,omitempty"`
	Suites *Suite `json:"suites,omitempty"`
}

// Wire is the cost of internal/wire on a Get.
type Wire struct {
	Pairs   int     `json:"pairs"`
	With    Latency `json:"with"`
	Without Latency `json:"without"`
	Ratio   float64 `json:"ratio"` // median of those of the rounds, each of two p50
	// Ratios are those of the rounds.
	Ratios      []float64 `json:"roundRatios,omitempty"`
	CPU         float64   `json:"cpu"`         // ns a Get, on a transport that answers at once
	CPUWithout  float64   `json:"cpuWithout"`  // the same without wire
	Allocs      float64   `json:"allocs"`      // added to a Get
	AllocsTotal float64   `json:"allocsTotal"` // of a Get without wire
}

// Start is how long the local control plane takes to be ready, in seconds.
type Start struct {
	Rounds []StartRound `json:"rounds"`
	Whole  float64      `json:"whole"` // medians
	Etcd   float64      `json:"etcd"`
	Server float64      `json:"server"`
}

// StartRound is one start of each.
type StartRound struct {
	Whole  float64 `json:"whole"`
	Etcd   float64 `json:"etcd"`
	Server float64 `json:"server"`
}

// Clone is how long it takes from a clone to a lesson's first line, in seconds.
type Clone struct {
	Clone  float64 `json:"clone"`
	Up     float64 `json:"up"`     // make up
	Lesson float64 `json:"lesson"` // go run ./lessons/01-direct, to its first line
	Total  float64 `json:"total"`
	Build  float64 `json:"build"` // go build of the same packages, in another clone
}

// Suite compares make e2e with running the lessons, in seconds.
type Suite struct {
	E2E     float64            `json:"e2e"`
	Lessons map[string]float64 `json:"lessons"`
	Sum     float64            `json:"sum"`
}

// Profile says where the CPU time went.
type Profile struct {
	What    string  `json:"what"`
	Seconds float64 `json:"seconds"` // of CPU time sampled
	Flat    []Line  `json:"flat"`
	Cum     []Line  `json:"cum"`
}

// Line is one function of a profile.
type Line struct {
	Func  string  `json:"func"`
	Share float64 `json:"share"` // of the samples
}

// Find returns the operation of that name, nil if there is none.
func (s *Size) Find(name string) *Op {
	for i := range s.Ops {
		if s.Ops[i].Name == name {
			return &s.Ops[i]
		}
	}
	return nil
}

// Of returns the size of that many small objects, nil if there is none.
func (r *Reads) Of(objects int) *Size {
	for i := range r.Sizes {
		if s := &r.Sizes[i]; s.Objects == objects && s.ObjectBytes <= Small {
			return s
		}
	}
	return nil
}

// Find returns the run of that kind, nil if there is none.
func (s *Sync) Find(mode string, k, objects, objectBytes int) *SyncRun {
	for i := range s.Runs {
		r := &s.Runs[i]
		if r.Mode == mode && r.K == k && r.Objects == objects && r.ObjectBytes == objectBytes {
			return r
		}
	}
	return nil
}

// The sizes of the objects' data, in bytes.
const (
	Small = 1000
	Big   = 100_000
)

// LoadFile reads results from a file.
func LoadFile(path string) (*Results, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &Results{}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

// Save writes results to a file.
func (r *Results) Save(path string) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
