package main

import (
	"context"
	"io"
	"os"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/cluster"
)

// benchLab connects to the cluster that KUBECONFIG names, or skips: go test is to need none.
var benchLab = sync.OnceValues(func() (*lab, error) {
	c, err := cluster.Connect(context.Background(), "", "")
	return &lab{cluster: c, say: newProgress(io.Discard), sets: map[set]string{}}, err
})

func labFor(b *testing.B) *lab {
	b.Helper()
	if os.Getenv("KUBECONFIG") == "" {
		b.Skip("no KUBECONFIG: name that of a cluster on this machine")
	}
	l, err := benchLab()
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// BenchmarkReads is each way to read 1,000 ConfigMaps, as in the program's first part.
func BenchmarkReads(b *testing.B) {
	l := labFor(b)
	r, err := l.newReader(b.Context(), small(1000))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		r.stop()
		if err := l.close(); err != nil {
			b.Error(err)
		}
	}()
	for _, o := range r.ops {
		b.Run(o.name, func(b *testing.B) {
			b.ReportAllocs()
			in := r.line.traffic.in.Load()
			for b.Loop() {
				if err := o.run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(r.line.traffic.in.Load()-in)/float64(b.N), "wire-B/op")
		})
	}
}

// BenchmarkWire is a Get on a transport that answers at once, with and without internal/wire. It
// needs no cluster.
func BenchmarkWire(b *testing.B) {
	for name, counted := range map[string]bool{"without": false, "with": true} {
		client, err := still(counted)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.CoreV1().ConfigMaps("ns").Get(b.Context(), item(0), metav1.GetOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
