package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/term"
)

// The benchmarks in this file measure what observe costs, on the cluster whose kubeconfig is in
// OBSERVE_BENCH:
//
//	OBSERVE_BENCH=$PWD/.cluster/kubeconfig go test ./observe -run '^$' -bench .
//	OBSERVE_BENCH=$PWD/.cluster/kubeconfig go test ./observe -run '^$' -bench Watches -benchtime 6000x -timeout 0

// setUp returns a client that goes straight to the server, one that goes through observe, which
// writes JSON lines, and a namespace with so many ConfigMaps.
func setUp(b *testing.B, configMaps int) (direct, through *kubernetes.Clientset, namespace string) {
	b.Helper()
	path := os.Getenv("OBSERVE_BENCH")
	if path == "" {
		b.Skip("OBSERVE_BENCH names no kubeconfig")
	}
	target, err := cluster.Find(path, "")
	if err != nil {
		b.Fatal(err)
	}
	s, err := newSession(options{json: filepath.Join(b.TempDir(), "seen.jsonl")}, target)
	if err != nil {
		b.Fatal(err)
	}
	s.out = term.NewPrinter(io.Discard)
	b.Cleanup(func() { s.finish(-1) })
	observed, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig())
	if err != nil {
		b.Fatal(err)
	}
	direct, through = client(b, target.Config), client(b, observed)

	ns, err := direct.CoreV1().Namespaces().Create(b.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "observe-bench-"}}, metav1.CreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := direct.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}); err != nil {
			b.Error(err)
		}
	})
	for i := range configMaps {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("item-%d", i)}, Data: map[string]string{"color": "blue"}}
		if _, err := direct.CoreV1().ConfigMaps(ns.Name).Create(b.Context(), cm, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	return direct, through, ns.Name
}

func client(b *testing.B, config *rest.Config) *kubernetes.Clientset {
	b.Helper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	return clientset
}

// compare does the same with both clients in turn, and reports the medians and their ratio.
func compare(b *testing.B, direct, through *kubernetes.Clientset, do func(*kubernetes.Clientset) error) {
	var took [2][]time.Duration
	for n := 0; b.Loop(); n++ {
		for i, clientset := range []*kubernetes.Clientset{direct, through} {
			start := time.Now()
			if err := do(clientset); err != nil {
				b.Fatal(err)
			}
			if n >= 20 { // the first ones open connections
				took[i] = append(took[i], time.Since(start))
			}
		}
	}
	if len(took[0]) == 0 {
		return // the benchmark's first try, of one round
	}
	p50 := func(all []time.Duration) float64 {
		slices.Sort(all)
		return all[len(all)/2].Seconds() * 1000
	}
	d, t := p50(took[0]), p50(took[1])
	b.ReportMetric(d, "ms/direct")
	b.ReportMetric(t, "ms/observed")
	b.ReportMetric(t/d, "ratio")
}

func BenchmarkGet(b *testing.B) {
	direct, through, ns := setUp(b, 1)
	compare(b, direct, through, func(c *kubernetes.Clientset) error {
		_, err := c.CoreV1().ConfigMaps(ns).Get(b.Context(), "item-0", metav1.GetOptions{})
		return err
	})
}

func BenchmarkList(b *testing.B) {
	direct, through, ns := setUp(b, 1000)
	compare(b, direct, through, func(c *kubernetes.Clientset) error {
		_, err := c.CoreV1().ConfigMaps(ns).List(b.Context(), metav1.ListOptions{})
		return err
	})
}

// BenchmarkWatches has 100 watches told of ten changes a second, which makes a thousand events a
// second. Each watch must be told of each change, in order. It reports the lag of the slowest watch
// at the end, and the heap after a minute and at the end, of the watches' own clients, too.
func BenchmarkWatches(b *testing.B) {
	const watches, minute = 100, 600 // watches, and changes
	direct, through, ns := setUp(b, 1)
	cm, err := direct.CoreV1().ConfigMaps(ns).Get(b.Context(), "item-0", metav1.GetOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	var versions []string // in the order of the changes
	var told [watches]atomic.Int64
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(b.Context())
	defer all.Wait()
	defer stop()
	for i := range watches {
		w, err := through.CoreV1().ConfigMaps(ns).Watch(ctx, metav1.ListOptions{ResourceVersion: cm.ResourceVersion, FieldSelector: "metadata.name=item-0"})
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			defer w.Stop()
			for e := range w.ResultChan() {
				if ctx.Err() != nil {
					return // the end of the context is the last event, of type ERROR
				}
				got, ok := e.Object.(*corev1.ConfigMap)
				n := int(told[i].Load())
				mu.Lock() // held while a change is made: its version is known by then
				if !ok || n >= len(versions) || versions[n] != got.ResourceVersion {
					b.Errorf("watch %d: event %d is %s %v", i, n, e.Type, e.Object)
				}
				mu.Unlock()
				told[i].Add(1)
			}
		})
	}
	var early, late runtime.MemStats
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	n := 0
	for ; b.Loop(); n++ {
		<-tick.C
		mu.Lock()
		cm.Data["color"] = fmt.Sprint(n)
		if cm, err = direct.CoreV1().ConfigMaps(ns).Update(b.Context(), cm, metav1.UpdateOptions{}); err != nil {
			b.Fatal(err)
		}
		versions = append(versions, cm.ResourceVersion)
		mu.Unlock()
		if n == minute {
			runtime.GC()
			runtime.ReadMemStats(&early)
		}
	}
	last := time.Now()
	for i := range told {
		for int(told[i].Load()) < n {
			if time.Since(last) > time.Minute {
				b.Fatalf("watch %d was told of %d changes of %d", i, told[i].Load(), n)
			}
			time.Sleep(time.Millisecond)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&late)
	b.ReportMetric(float64(time.Since(last).Microseconds())/1000, "ms/lag-at-end")
	if n > minute {
		b.ReportMetric(float64(early.HeapAlloc)/1e6, "MB/minute-1")
		b.ReportMetric(float64(late.HeapAlloc)/1e6, "MB/end")
	}
	b.ReportMetric(float64(n*watches), "events")
}
