package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/bench/internal/result"
)

// profiles say where the time goes, for the page to explain what it shows.
func (l *lab) profiles(ctx context.Context, large set, seconds int) (map[string]result.Profile, error) {
	r, err := l.newReader(ctx, small(1000))
	if err != nil {
		return nil, err
	}
	defer r.stop()
	out := map[string]result.Profile{}
	during := time.Duration(seconds) * time.Second

	l.say.step("profiles: a lister's Get")
	lister := r.pick("lister get")[0]
	if out["lister get"], err = profiled("lister Get, in this process", func() error {
		return forTime(ctx, during, inMemory, lister.run)
	}); err != nil {
		return nil, err
	}

	l.say.step("profiles: a direct Get, here and in the server")
	admin, err := l.dial()
	if err != nil {
		return nil, err
	}
	defer admin.close()
	var server []byte
	var status int
	var failed error
	var asked sync.WaitGroup
	asked.Go(func() {
		status, server, failed = admin.bare(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds))
	})
	get := r.pick("get")[0]
	out["get"], err = profiled("direct Get, in this process", func() error { return forTime(ctx, during, 1, get.run) })
	asked.Wait()
	if err != nil {
		return nil, err
	}
	if failed == nil && status == http.StatusOK { // a user may not be allowed to
		if out["get, server"], err = parseProfile("direct Get, in the API server's process", server); err != nil {
			return nil, err
		}
	}

	l.say.step("profiles: a wait for a written version")
	if out["wait"], err = l.profileWait(ctx, during); err != nil {
		return nil, err
	}

	l.say.step("profiles: a sync")
	ns, err := l.objects(ctx, large)
	if err != nil {
		return nil, err
	}
	what := map[string]string{stream: "sync by streaming", list: "List"}
	for _, mode := range []string{stream, list} {
		n, err := l.dial()
		if err != nil {
			return nil, err
		}
		out["sync "+mode], err = profiled(fmt.Sprintf("%s of %d, in this process", what[mode], large.objects), func() error {
			return forTime(ctx, during, 1, func() error {
				_, stop, err := n.fill(ctx, ns, mode, 1)
				if err == nil {
					stop()
				}
				return err
			})
		})
		n.close()
		if err != nil {
			return nil, err
		}
	}

	l.say.step("profiles: internal/wire")
	counted, err := still(true)
	if err != nil {
		return nil, err
	}
	out["wire"], err = profiled("Get with internal/wire, on a transport that answers at once", func() error {
		return forTime(ctx, during, inMemory, func() error {
			_, err := counted.CoreV1().ConfigMaps("ns").Get(ctx, "item-0", metav1.GetOptions{})
			return err
		})
	})
	return out, err
}

// profileWait writes one object again and again, and waits for each version, while nobody else writes:
// the work of other writers would be in the profile, too.
func (l *lab) profileWait(ctx context.Context, during time.Duration) (p result.Profile, err error) {
	c, err := l.newChase(ctx)
	if err != nil {
		return p, err
	}
	defer c.stop()
	api := c.client.CoreV1().ConfigMaps(c.ns)
	cm, err := api.Get(ctx, probe, metav1.GetOptions{})
	if err != nil {
		return p, err
	}
	n := 0
	return profiled("write and fresh.Waiter, in this process", func() error {
		return forTime(ctx, during, 1, func() error {
			n++
			cm.Data = map[string]string{"count": strconv.Itoa(n)}
			if cm, err = api.Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
				return err
			}
			return c.waiter.Wait(ctx, cm.ResourceVersion)
		})
	})
}

// forTime calls run for that long, batch calls to one look at the clock.
func forTime(ctx context.Context, d time.Duration, batch int, run func() error) error {
	for began := time.Now(); time.Since(began) < d; {
		for range batch {
			if err := run(); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func profiled(what string, run func() error) (result.Profile, error) {
	var raw bytes.Buffer
	if err := pprof.StartCPUProfile(&raw); err != nil {
		return result.Profile{}, err
	}
	err := run()
	pprof.StopCPUProfile()
	if err != nil {
		return result.Profile{}, err
	}
	return parseProfile(what, raw.Bytes())
}

// lines is how many functions of a profile are kept.
const lines = 10

func parseProfile(what string, raw []byte) (result.Profile, error) {
	out := result.Profile{What: what}
	p, err := profile.ParseData(raw)
	if err != nil {
		return out, fmt.Errorf("profile of %s: %w", what, err)
	}
	flat, cum := map[string]int64{}, map[string]int64{}
	var total int64
	for _, s := range p.Sample {
		value := s.Value[len(s.Value)-1] // nanoseconds
		total += value
		seen := map[string]bool{}
		for i, at := range s.Location {
			for j, line := range at.Line { // inlined calls first
				name := shortFunc(line.Function.Name)
				if i == 0 && j == 0 {
					flat[name] += value
				}
				if !seen[name] {
					seen[name] = true
					cum[name] += value
				}
			}
		}
	}
	out.Seconds = time.Duration(total).Seconds()
	maps.DeleteFunc(cum, func(name string, _ int64) bool { return harness(name) })
	maps.DeleteFunc(flat, func(name string, _ int64) bool { return strings.HasPrefix(name, "main.") })
	out.Flat, out.Cum = top(flat, total), top(cum, total)
	return out, nil
}

// harness are the functions that call what is measured: they are above all of it, and say nothing.
func harness(name string) bool {
	return strings.HasPrefix(name, "main.") || strings.HasPrefix(name, "sync.") ||
		name == "runtime.main" || name == "runtime.goexit"
}

func top(of map[string]int64, total int64) []result.Line {
	var all []result.Line
	for name, value := range of {
		all = append(all, result.Line{Func: name, Share: float64(value) / float64(max(total, 1))})
	}
	slices.SortFunc(all, func(a, b result.Line) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), strings.Compare(a.Func, b.Func))
	})
	return all[:min(len(all), lines)]
}

// shortFunc takes the path off a function's name, and type parameters.
func shortFunc(name string) string {
	if from, to := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']'); from >= 0 && from < to {
		name = name[:from] + name[to+1:]
	}
	return name[strings.LastIndexByte(name, '/')+1:]
}
