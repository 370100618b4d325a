package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/bench/internal/result"
)

func TestParseServer(t *testing.T) {
	const metrics = `# HELP process_cpu_seconds_total x
process_cpu_seconds_total 7.21
process_resident_memory_bytes 2.5e+08
go_memstats_alloc_bytes_total 4e+08
etcd_request_duration_seconds_sum{group="",operation="get",resource="configmaps"} 0.5
etcd_request_duration_seconds_count{group="",operation="get",resource="configmaps"} 250
etcd_request_duration_seconds_sum{group="",operation="get",resource="secrets"} 99
`
	got, err := parseServer([]byte(metrics))
	if want := (serverState{rss: 2.5e8, cpu: 7.21, alloc: 4e8, etcdSum: 0.5, etcdGets: 250}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := parseServer([]byte("nothing 1\n")); err == nil {
		t.Error("a page that tells nothing of the memory passes")
	}
	if _, err := parseServer([]byte("process_resident_memory_bytes many\n")); err == nil {
		t.Error("a number that is none passes")
	}
}

// TestLine: requests and bytes are counted, on one connection.
func TestLine(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("x", 10_000)))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	n, err := dialConfig(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: authority}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	for range 3 {
		if status, body, err := n.bare(t.Context(), "/livez"); err != nil || status != 200 || len(body) != 10_000 {
			t.Fatalf("%d, %d bytes, %v", status, len(body), err)
		}
	}
	got := n.traffic
	if got.requests.Load() != 3 || got.dials.Load() != 1 {
		t.Errorf("%d requests on %d connections, want 3 on 1", got.requests.Load(), got.dials.Load())
	}
	if in := got.in.Load(); in < 30_000 || in > 40_000 || got.out.Load() == 0 {
		t.Errorf("%d bytes received, %d sent", in, got.out.Load())
	}
}

// held is kept on the heap.
var held []byte

// TestMeasure: calls, latency and allocations are those of the way that was measured.
func TestMeasure(t *testing.T) {
	calls := 0
	ops := []op{
		{"cheap", "memory", 8, func() error { calls++; return nil }},
		{"greedy", "memory", 1, func() error { held = append([]byte(nil), make([]byte, 1<<16+len(held)&1)...); return nil }},
	}
	r := &reader{line: &line{traffic: &traffic{}}}
	got, err := r.measure(t.Context(), ops, effort{rounds: 2, least: 20})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Latency.N != 20 || calls != 1+20*8 {
		t.Errorf("%d samples and %d calls, want 20 and 161", got[0].Latency.N, calls)
	}
	if got[0].Alloc > 1000 || got[1].Alloc < 1<<16 || got[1].Allocs < 1 {
		t.Errorf("allocated %v and %v a call", got[0].Alloc, got[1].Alloc)
	}
	broken := errors.New("broken")
	if _, err := r.measure(t.Context(), []op{{"bad", "memory", 1, func() error { return broken }}}, effort{rounds: 1}); !errors.Is(err, broken) {
		t.Errorf("a way that fails: %v", err)
	}
}

// TestMeasureEtcd: a Get's share of etcd's time is that of the counters right before and after.
func TestMeasureEtcd(t *testing.T) {
	gets := 7 // from before
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		const get = `{group="",operation="get",resource="configmaps"}`
		fmt.Fprintf(w, "process_resident_memory_bytes 1\ngo_memstats_alloc_bytes_total 1\n"+
			"etcd_request_duration_seconds_sum%s %g\netcd_request_duration_seconds_count%s %d\n", get, float64(gets)*0.002, get, gets)
	}))
	defer server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	admin, err := dialConfig(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: authority}})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.close()
	r := &reader{line: &line{traffic: &traffic{}}, admin: admin}
	ops := []op{
		{"get", "server", 1, func() error { gets++; return nil }},
		{"list", "server", 1, func() error { gets++; return nil }}, // somebody else's, while it is not Gets that are measured
		{"get rv=0", "server", 1, func() error { return nil }},
	}
	got, err := r.measure(t.Context(), ops, effort{rounds: 3, least: 100})
	if err != nil {
		t.Fatal(err)
	}
	if o := got[0]; o.EtcdGets != 1 || math.Abs(o.EtcdTime-2e6) > 1 || o.Latency.N < 100 {
		t.Errorf("%v reads of etcd a Get, %v ns each, of %d; want 1, 2e6, of at least 100", o.EtcdGets, o.EtcdTime, o.Latency.N)
	}
	if got[1].EtcdGets != 0 || got[2].EtcdGets != 0 || got[2].EtcdTime != 0 {
		t.Errorf("%+v and %+v: want no reads of etcd", got[1], got[2])
	}
}

func TestSightings(t *testing.T) {
	s := newSightings()
	s.see("1")
	first := s.seen["1"]
	s.see("1") // the first one counts
	if at, err := s.when(t.Context(), "1"); err != nil || at != first {
		t.Errorf("%v, %v; want %v", at, err, first)
	}
	later := make(chan error, 1)
	go func() {
		_, err := s.when(t.Context(), "3")
		later <- err
	}()
	s.see("2")
	s.see("3")
	if err := <-later; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.when(ctx, "4"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "resourceVersion 4") {
		t.Errorf("what never comes: %v", err)
	}
}

func TestIsItem(t *testing.T) {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "item-1"}}
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kube-root-ca.crt"}}
	for _, c := range []struct {
		obj  any
		want bool
	}{{cm, true}, {cache.DeletedFinalStateUnknown{Obj: cm}, true}, {other, false}, {&corev1.Secret{}, false}} {
		if isItem(c.obj) != c.want {
			t.Errorf("%T: want %t", c.obj, c.want)
		}
	}
}

func TestMedians(t *testing.T) {
	m := medians([]result.SyncRun{{Seconds: 3, Requests: 1}, {Seconds: 1, Requests: 1}, {Seconds: 2, Requests: 1}})
	if m.Seconds != 2 || m.Requests != 1 || len(m.Rounds) != 3 {
		t.Errorf("%+v", m)
	}
	mem := memoryMedians([]result.Memory{{Before: 10, Peak: 40}, {Before: 20, Peak: 30}, {Before: 30, Peak: 50}})
	if mem.Before != 20 || mem.Peak != 40 || mem.Growth() != 20 { // the growth is that of a round, not of the medians' difference
		t.Errorf("%+v grew by %v", mem, mem.Growth())
	}
	s := shareMedians([]result.Share{{K: 4, Factories: 1, Heap: 5, Told: 7}, {K: 4, Factories: 1, Heap: 7, Told: 7}})
	if s.Heap != 6 || s.K != 4 || s.Told != 7 || s.Rounds != 2 {
		t.Errorf("%+v", s)
	}
}

// TestProfiled: the function that burns the time is at the top.
func TestProfiled(t *testing.T) {
	p, err := profiled("burning", func() error {
		return forTime(t.Context(), 300*time.Millisecond, 4, func() error { burn(); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, l := range p.Cum {
		found = found || l.Func == "bench.burn" && l.Share > 0.3
	}
	if p.Seconds > 0 && !found {
		t.Errorf("burn is not among %+v", p.Cum)
	}
}

func TestShortFunc(t *testing.T) {
	for name, want := range map[string]string{
		"k8s.io/client-go/gentype.(*alsoLister[go.shape.*k8s.io/api/core/v1.ConfigMap,go.shape.[]int]).List": "gentype.(*alsoLister).List",
		"k8s.io/client-go/listers.ResourceIndexer[go.shape.*uint8].Get":                                      "listers.ResourceIndexer.Get",
		"runtime.mallocgc": "runtime.mallocgc", "net/http.(*Client).Do": "http.(*Client).Do",
	} {
		if got := shortFunc(name); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestHarness(t *testing.T) {
	for name, want := range map[string]bool{
		"main.forTime": true, "main.(*lab).profiles.func1": true, "runtime.main": true, "sync.(*WaitGroup).Go.func1": true,
		"runtime.mallocgc": false, "cache.(*controller).processLoop": false, "maintenance.x": false,
	} {
		if harness(name) != want {
			t.Errorf("%s: want %t", name, want)
		}
	}
}

//go:noinline
func burn() {
	x := 1.0
	for range 100_000 {
		x = math.Sqrt(x + 1)
	}
	runtime.KeepAlive(x)
}

func TestStill(t *testing.T) {
	for _, counted := range []bool{false, true} {
		client, err := still(counted)
		if err != nil {
			t.Fatal(err)
		}
		cm, err := client.CoreV1().ConfigMaps("ns").Get(t.Context(), "item-0", metav1.GetOptions{})
		if err != nil || cm.Name != "item-0" || len(cm.Data["text"]) != result.Small {
			t.Errorf("%v, %v", cm, err)
		}
	}
}

func TestProvider(t *testing.T) {
	for context, want := range map[string]string{"local-x": "local", "kind-x": "kind", "prod": "other"} {
		if got := provider(context); got != want {
			t.Errorf("%s: %s, want %s", context, got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out)
	p.step("reads: %d", 1)
	p.detail("not shown where there is no terminal")
	p.line("done")
	if got := out.String(); !strings.Contains(got, "reads: 1\n") || strings.Contains(got, "not shown") || !strings.HasSuffix(got, "done\n") {
		t.Errorf("%q", got)
	}
}
