package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/wire"
)

var (
	kubeconfig = flag.String("kubeconfig", "", "measure on the cluster of this `file` (default: as the lessons do)")
	rounds     = flag.Int("rounds", 1, "run all benchmarks this many `times`, one after the other")
)

// shared is what all benchmarks share.
var shared struct {
	cluster *cluster.Cluster

	mu     sync.Mutex
	filled map[int]string // namespaces, by the number of ConfigMaps in them
	remove []func() error
}

// TestMain connects to a cluster if benchmarks are asked for, and removes what they made there. Tests
// need no cluster.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	c, err := cluster.Connect(ctx, *kubeconfig, "")
	if err != nil {
		fmt.Fprintln(os.Stderr, cluster.Explain(err))
		os.Exit(1)
	}
	shared.cluster, shared.filled = c, map[int]string{}
	describe(c)
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends the program at once
		removeNamespaces()
		fmt.Fprintln(os.Stderr, "Interrupted.")
		os.Exit(130)
	}()
	code := 0
	for i := 0; i < *rounds && code == 0; i++ {
		code = m.Run()
	}
	if !removeNamespaces() && code == 0 {
		code = 1
	}
	os.Exit(code)
}

// describe prints where the figures come from, as lines that benchstat reads, too.
func describe(c *cluster.Cluster) {
	provider, _, _ := strings.Cut(c.Context, "-")
	if provider != "local" && provider != "kind" {
		provider = "other"
	}
	fmt.Printf("kubernetes: %s\nprovider: %s\ncores: %d\ngo: %s\n", c.Version, provider, runtime.NumCPU(), runtime.Version())
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Println("load:", strings.Fields(string(load))[0])
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "k8s.io/client-go" {
				fmt.Println("client-go:", dep.Version)
			}
		}
	}
}

// removeNamespaces deletes the namespaces and says what could not be deleted. No namespace can be
// made after it: it keeps the lock.
func removeNamespaces() (whole bool) {
	shared.mu.Lock()
	whole = true
	for _, remove := range shared.remove {
		if err := remove(); err != nil {
			fmt.Fprintln(os.Stderr, cluster.Explain(err))
			whole = false
		}
	}
	return whole
}

// newNamespace makes a namespace with that many ConfigMaps.
func newNamespace(b *testing.B, objects int) string {
	b.Helper()
	shared.mu.Lock()
	ns, remove, err := cluster.Scratch(b.Context(), shared.cluster, "make", "bench", nil)
	shared.remove = append(shared.remove, remove)
	shared.mu.Unlock()
	check(b, err)
	fmt.Fprintf(os.Stderr, "creating %d ConfigMaps\n", objects)
	c := newClient(b, -1)
	var all errgroup.Group
	all.SetLimit(16)
	for i := range objects {
		all.Go(func() error {
			_, err := c.CoreV1().ConfigMaps(ns).Create(b.Context(), configMap(i), metav1.CreateOptions{})
			return err
		})
	}
	check(b, all.Wait())
	return ns
}

// filledNamespace returns a namespace with that many ConfigMaps, which nobody changes.
func filledNamespace(b *testing.B, objects int) string {
	b.Helper()
	if shared.filled[objects] == "" {
		shared.filled[objects] = newNamespace(b, objects)
	}
	return shared.filled[objects]
}

func check(b testing.TB, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}

const shards = 100 // values of the label by which a hundredth of the ConfigMaps is found

func item(i int) string { return "item-" + strconv.Itoa(i) }

// configMap holds random text, which gzip cannot shrink much.
func configMap(i int) *corev1.ConfigMap {
	random := rand.New(rand.NewPCG(uint64(i), 1))
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
	text := make([]byte, 1000)
	for j := range text {
		text[j] = letters[random.IntN(len(letters))]
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: item(i), Labels: map[string]string{"shard": strconv.Itoa(i % shards)}},
		Data:       map[string]string{"text": string(text)},
	}
}

// client is a clientset with a connection of its own and its own count of requests.
type client struct {
	*kubernetes.Clientset
	config *rest.Config
	http   *http.Client
	count  *wire.Counter
}

// newClient makes a client that sends at most qps requests a second; -1 is without limit.
func newClient(b testing.TB, qps float32) *client {
	b.Helper()
	c := &client{config: rest.CopyConfig(shared.cluster.Config)}
	c.config.QPS, c.config.Burst = qps, 1
	// A Dial function of its own keeps client-go from sharing the connection.
	c.config.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	wire.StopQuietly(c.config)
	c.count = wire.Count(c.config)
	var err error
	c.http, err = rest.HTTPClientFor(c.config)
	check(b, err)
	c.Clientset, err = kubernetes.NewForConfigAndClient(c.config, c.http)
	check(b, err)
	b.Cleanup(func() { utilnet.CloseIdleConnectionsFor(c.http.Transport) })
	return c
}

// durations are those of single calls, in nanoseconds.
type durations []float64

// report adds metrics to the benchmark's line: half of the calls took at most p50, 99 of 100 at most
// p99, which takes a hundred calls to tell.
func (d durations) report(b *testing.B, prefix string) {
	if len(d) == 0 {
		return
	}
	b.ReportMetric(median(d), prefix+"p50-ns")
	if len(d) >= 100 {
		slices.Sort(d)
		b.ReportMetric(d[len(d)*99/100], prefix+"p99-ns")
	}
}
