package advice

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/observer"
)

// start is when the records of these tests begin.
var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

const ms = time.Millisecond

// change is what makes one request of a test differ from the plain one.
type change func(*observer.Request)

// request is a request for ConfigMaps in the namespace prod, so long after the start.
func request(verb, name string, at, took time.Duration, changes ...change) observer.Request {
	r := observer.Request{
		Verb: verb, Resource: "configmaps", Namespace: "prod", Name: name, Path: "/cm/" + name, UserAgent: "program",
		Start: start.Add(at), Duration: took, Status: http.StatusOK, EndedBy: observer.ByServer, Query: url.Values{}, Conn: 1,
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

func query(key, value string) change {
	return func(r *observer.Request) { r.Query = url.Values{key: {value}} }
}

func status(code int) change { return func(r *observer.Request) { r.Status = code } }
func hash(n int) change      { return func(r *observer.Request) { r.Hash = uint64(n) } }
func bytes(n int64) change   { return func(r *observer.Request) { r.Bytes = n } }
func conn(n int) change      { return func(r *observer.Request) { r.Conn = n } }
func byClient() change {
	return func(r *observer.Request) { r.EndedBy = observer.ByClient }
}
func open() change { return func(r *observer.Request) { r.Open, r.EndedBy = true, "" } }
func header(key, value string) change {
	return func(r *observer.Request) { r.Header = http.Header{key: {value}} }
}

func events(types ...watch.EventType) change {
	return func(r *observer.Request) {
		r.Events = map[watch.EventType]int{}
		for _, t := range types {
			r.Events[t]++
		}
	}
}

func version(sent, got string) change {
	return func(r *observer.Request) {
		r.Sent = &observer.Meta{ResourceVersion: sent}
		if got != "" {
			r.Got = &observer.Meta{ResourceVersion: got}
		}
	}
}

// child makes a create of one that has a generated name.
func child(got string) change {
	return func(r *observer.Request) {
		r.Sent = &observer.Meta{GenerateName: "shop-", Owner: "7"}
		r.Got = &observer.Meta{Name: got, Namespace: "prod", ResourceVersion: "9"}
	}
}

// event is one of a watch.
func event(of observer.Request, at time.Duration, name string) observer.Change {
	return observer.Change{What: observer.Event, Time: start.Add(at), Request: of, EventType: watch.Added,
		Object: &observer.Meta{Name: name, Namespace: "prod", ResourceVersion: "9"}}
}

// seen is a record that ends 20 s after the start with the program.
func seen(requests ...observer.Request) Seen {
	for i := range requests {
		requests[i].ID = i + 1
	}
	return Seen{Requests: requests, End: start.Add(20 * time.Second), Ended: true}
}

func (s Seen) with(events ...observer.Change) Seen { s.Events = events; return s }
func (s Seen) running() Seen                       { s.Ended = false; return s }

// times makes n requests.
func times(n int, make func(i int) observer.Request) (all []observer.Request) {
	for i := range n {
		all = append(all, make(i))
	}
	return all
}

func each(i int, gap time.Duration) time.Duration { return time.Duration(i) * gap }

// check compares what a rule says of a record with what it should say; "" is nothing.
func check(t *testing.T, name string, s Seen, want string) {
	t.Helper()
	found := Of(s)
	i := slices.IndexFunc(found, func(a Advice) bool { return a.Rule == name })
	switch {
	case i < 0 && want != "":
		t.Errorf("%s says nothing, want %q; others: %v", name, want, found)
	case i >= 0 && want == "":
		t.Errorf("%s says %q, want nothing", name, found[i].Evidence)
	case i >= 0 && found[i].Evidence[0] != want:
		t.Errorf("%s says\n\t%q, want\n\t%q", name, found[i].Evidence[0], want)
	}
}

// TestRules: each rule speaks of what it is for, with its numbers, and is silent of what looks alike
// and is right.
func TestRules(t *testing.T) {
	for _, r := range rules {
		c, ok := cases[r.name]
		if !ok {
			t.Errorf("%s has no test", r.name)
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			check(t, r.name, c.wrong, c.says)
			if len(c.right) == 0 {
				t.Error("nothing for it to be silent of")
			}
			for what, s := range c.right {
				t.Run(what, func(t *testing.T) { check(t, r.name, s, "") })
			}
		})
	}
	if len(cases) != len(rules) {
		t.Errorf("%d tests for %d rules", len(cases), len(rules))
	}
}

func TestFindingsAreRankedAndCounted(t *testing.T) {
	var all []observer.Request
	for i := range 5 {
		all = append(all, times(8+i, func(int) observer.Request {
			return request("get", fmt.Sprintf("app-%d", i), 0, ms, hash(i+1))
		})...)
	}
	got := Of(seen(all...))
	if len(got) != 1 || len(got[0].Evidence) != 3 || got[0].More != 2 ||
		got[0].Evidence[0] != "configmaps/app-4 was read 12 times, every 0 s, 11 times without a change." {
		t.Errorf("got %+v", got)
	}
}

// TestRefusedWrites: a write that asks for what is not there is refused for good; a read of it is an
// answer like any other.
func TestRefusedWrites(t *testing.T) {
	answers := func(verb string) Seen {
		return seen(times(12, func(i int) observer.Request {
			return request(verb, "app", each(i, 200*ms), ms, status(http.StatusNotFound), func(r *observer.Request) { r.Subresource = "status" })
		})...)
	}
	check(t, "refused", answers("update"), `404 was the answer to update of configmaps/app/status in "prod", 12 times within 2.2 s.`)
	check(t, "refused", answers("get"), "")
	check(t, "refused", answers("delete"), "")
}

func TestInjectedIsSaid(t *testing.T) {
	watches := func(fault string) Seen {
		return seen(times(6, func(i int) observer.Request {
			return request("watch", "", each(i, 100*ms), 90*ms, func(r *observer.Request) { r.Injected = fault })
		})...)
	}
	for _, fault := range []string{"", "cut after 3 events"} {
		found := Of(watches(fault))
		i := slices.IndexFunc(found, func(a Advice) bool { return a.Rule == "restless-watch" })
		if i < 0 || found[i].Injected != (fault != "") {
			t.Errorf("with fault %q: %+v", fault, found)
		}
	}
}

func TestHuman(t *testing.T) {
	for want, got := range map[string]string{
		"1,904": Number(1904), "904": Number(904), "1,000,000": Number(1_000_000),
		"812 B": Size(812), "4.1 kB": Size(4100), "10 kB": Size(9990), "5.1 MB": Size(5_100_000), "2.0 GB": Size(2e9),
		"2 min 4 s": Duration(124 * time.Second), "99 s": Duration(99 * time.Second), "1 h 5 min": Duration(65 * time.Minute),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestRulesAreDocumented: docs/observe.md names each rule, with its page.
func TestRulesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/observe.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if !regexp.MustCompile("(?m)^\\| `" + r.name + "` \\|.*\\(" + regexp.QuoteMeta(strings.TrimPrefix(r.page, "docs/")) + "\\)").Match(page) {
			t.Errorf("docs/observe.md has no row for %s with %s", r.name, r.page)
		}
	}
}
