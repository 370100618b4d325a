// Command bench measures what each way of reading from Kubernetes costs, on the cluster that the
// lessons would use, and writes what it found to docs/: performance.json, the page performance.md
// and its plots.
//
//	make bench        # less than five minutes on two cores
//	make bench-full   # with 100,000 ConfigMaps, a build from nothing, and make e2e
//	make bench-guard  # a minute: only ratios, compared with limits.json
//
// The reads are Go benchmarks, too: cd bench && go test -bench . -count 6, for benchstat.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"client-go-lessons/bench/internal/report"
	"client-go-lessons/bench/internal/result"
	"client-go-lessons/internal/cluster"
)

type options struct {
	kubeconfig, context string
	full, quick         bool
	guard, render       bool
	own                 bool
	only                string
	out                 string
	limits              string
}

func main() {
	var o options
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "read this kubeconfig `file` (default: as the lessons do)")
	flag.StringVar(&o.context, "context", "", "use the context of this `name`; it may be that of a remote cluster")
	flag.BoolVar(&o.own, "own", false, "start a local cluster for the run")
	flag.BoolVar(&o.full, "full", false, "measure all, which takes half an hour")
	flag.BoolVar(&o.quick, "quick", false, "measure little, to try the program: the figures are rough")
	flag.BoolVar(&o.guard, "guard", false, "measure ratios only, and compare them with -limits")
	flag.StringVar(&o.limits, "limits", "limits.json", "the limits of -guard, a `file`")
	flag.BoolVar(&o.render, "render", false, "write the page anew from performance.json, without measuring")
	flag.StringVar(&o.only, "only", "", "measure these `parts` alone, with commas between them: "+strings.Join(parts, ", "))
	flag.StringVar(&o.out, "out", "", "write the results to this `folder` (default: docs/)")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bench takes flags only, not %q. See -h.\n", flag.Arg(0))
		os.Exit(2)
	}
	for part := range strings.SplitSeq(o.only, ",") {
		if o.only != "" && !slices.Contains(parts, part) {
			fmt.Fprintf(os.Stderr, "There is no part %q. See -h.\n", part)
			os.Exit(2)
		}
	}
	os.Exit(run(o))
}

func run(o options) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := work(ctx, o)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\nInterrupted. What was made on the cluster is deleted.")
		return 130
	case errors.Is(err, errBroken):
		return 1
	}
	fmt.Fprintln(os.Stderr, "\n"+cluster.Explain(err))
	return 1
}

func work(ctx context.Context, o options) (err error) {
	if o.out == "" {
		top, err := root()
		if err != nil {
			return err
		}
		o.out = filepath.Join(top, "docs")
	}
	if o.render {
		return render(o.out)
	}
	say := newProgress(os.Stderr)
	l := &lab{say: say, sets: map[set]string{}}
	if o.own {
		say.step("starting a local cluster")
		own, err := startCluster(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, own.down()) }()
		o.kubeconfig, o.context = filepath.Join(own.dir, "kubeconfig"), ""
	}
	if l.cluster, err = cluster.Connect(ctx, o.kubeconfig, o.context); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	say.line("cluster: %s, context %q of %s", l.cluster.Version, l.cluster.Context, l.cluster.Source)
	if o.guard {
		return l.guard(ctx, o.limits)
	}

	r := &result.Results{Taken: time.Now().UTC().Truncate(time.Second), Mode: "bench", Skipped: map[string]string{}}
	switch {
	case o.full:
		r.Mode = "full"
	case o.quick:
		r.Mode = "quick"
	}
	r.Machine = machine(l.cluster)
	began := time.Now()
	err = l.all(ctx, o, r)
	r.Seconds = time.Since(began).Seconds()
	if err != nil { // a full run is long: what it has found is not thrown away
		partial := filepath.Join(o.out, "performance.partial.json")
		say.line("not finished; what was measured until then: %s", partial)
		return errors.Join(err, r.Save(partial))
	}
	if err := r.Save(filepath.Join(o.out, "performance.json")); err != nil {
		return err
	}
	say.line("measured in %.0f s", r.Seconds)
	return render(o.out)
}

func render(dir string) error {
	r, err := result.LoadFile(filepath.Join(dir, "performance.json"))
	if err != nil {
		return err
	}
	if err := report.Write(dir, r); err != nil {
		return err
	}
	fmt.Println("written:", filepath.Join(dir, "performance.md"))
	return nil
}

var parts = []string{"reads", "sync", "sharing", "staleness", "ourselves", "profiles"}

// all measures the parts that are asked for.
func (l *lab) all(ctx context.Context, o options, r *result.Results) (err error) {
	wanted := func(part string) bool {
		return o.only == "" || slices.Contains(strings.Split(o.only, ","), part)
	}
	p := plan(r.Mode)
	if wanted("reads") {
		if r.Reads, err = l.reads(ctx, p.reads, p.slice, p.least); err != nil {
			return err
		}
	}
	if wanted("sync") {
		r.Sync = &result.Sync{}
		for _, s := range p.syncs {
			runs, err := l.syncs(ctx, s.set, s.ks, s.rounds)
			if err != nil {
				return err
			}
			r.Sync.Runs = append(r.Sync.Runs, runs...)
		}
		for _, s := range p.memories {
			memory, err := l.memories(ctx, s, p.memoryKs, p.memoryRounds)
			if err != nil {
				r.Skipped["memory"] = reason(err)
				break
			}
			r.Sync.Memory = append(r.Sync.Memory, memory...)
		}
	}
	if wanted("sharing") {
		if r.Sharing, err = l.sharing(ctx, p.large, p.ks, 500, p.sharing); err != nil {
			return err
		}
	}
	if wanted("staleness") {
		if r.Lag, err = l.lag(ctx, loads, p.probes, 3, 10); err != nil {
			return err
		}
	}
	if wanted("profiles") {
		if r.Profiles, err = l.profiles(ctx, p.large, p.profile); err != nil {
			return err
		}
	}
	if wanted("ourselves") {
		r.Ourselves = &result.Ourselves{}
		if r.Ourselves.Wire, err = l.wireCost(ctx, p.pairs, 9); err != nil {
			return err
		}
		skip := func(name string, err error) {
			if err != nil && ctx.Err() == nil {
				r.Skipped[name] = reason(err)
			}
		}
		if o.quick {
			return ctx.Err()
		}
		r.Ourselves.Start, err = l.starts(ctx, p.starts)
		skip("start", err)
		r.Ourselves.Warm, err = l.clone(ctx, false)
		skip("warm", err)
		if o.full {
			r.Ourselves.Suites, err = l.suites(ctx)
			skip("suites", err)
			r.Ourselves.Cold, err = l.clone(ctx, true)
			skip("cold", err)
		}
	}
	return ctx.Err()
}

// reason is an error's first line.
func reason(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

// amount says how much of everything is measured.
type amount struct {
	reads    []set
	slice    time.Duration // for each way to read
	least    func(set) int // samples of each way to read
	syncs    []syncPlan
	memories []set
	// at once, and rounds of each
	memoryKs     []int
	memoryRounds int
	large        set   // for sharing and profiles
	ks           []int // handlers
	sharing      int   // rounds
	probes       int   // for each load
	pairs        int   // of Gets with and without internal/wire
	profile      int   // seconds of each
	starts       int   // of the control plane
}

type syncPlan struct {
	set    set
	ks     []int
	rounds int
}

func plan(mode string) amount {
	p := amount{
		reads: []set{small(100), small(1000), small(10_000), big(200)},
		slice: 400 * time.Millisecond,
		least: func(set) int { return 9 },
		syncs: []syncPlan{
			{small(1000), []int{1}, 5}, {small(10_000), []int{1, 4, 16}, 3}, {big(200), []int{1, 4, 16}, 3},
		},
		memories: []set{big(200)}, memoryKs: []int{1, 16}, memoryRounds: 1,
		large:   small(10_000),
		ks:      []int{1, 4, 16},
		sharing: 1,
		probes:  480,
		pairs:   2400,
		starts:  2,
		profile: 2,
	}
	switch mode {
	case "full":
		p.reads = append(p.reads, small(100_000))
		p.least = func(s set) int {
			switch bytes := s.objects * s.bytes; {
			case bytes <= 1_000_000:
				return 100 // enough for a p99
			case bytes <= 20_000_000:
				return 15
			}
			return 5
		}
		p.syncs = []syncPlan{
			{small(1000), []int{1}, 9}, {small(10_000), []int{1, 4, 16}, 7}, {big(400), []int{1, 4, 16}, 3},
			{small(100_000), []int{1}, 3},
		}
		p.memories, p.memoryKs, p.memoryRounds = []set{small(10_000), big(400)}, p.ks, 3
		p.sharing, p.probes, p.pairs, p.profile, p.starts = 3, 3000, 9000, 5, 5
	case "quick":
		p.slice, p.least = 60*time.Millisecond, func(set) int { return 3 }
		p.reads, p.large = []set{small(100), small(1000), big(20)}, small(1000)
		p.syncs = []syncPlan{{small(1000), []int{1, 4}, 1}, {big(20), []int{1, 4}, 1}}
		p.memoryKs = []int{1, 4}
		p.ks, p.memories, p.probes, p.pairs, p.profile = []int{1, 4}, []set{big(20)}, 60, 360, 1
	}
	return p
}
