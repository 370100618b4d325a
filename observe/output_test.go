package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/observer"
)

// observed runs a Get, refused once by a fault, another, and a watch of two events under observe.
func observed(t *testing.T, args ...string) *process {
	t.Helper()
	_, kubeconfig := fakeCluster(t)
	args = append(args, "-fault", "get/configmaps: 403, once", "--", os.Args[0], "get", "get", "watch")
	p := start(t, kubeconfig, args...)
	out, code := p.wait(t)
	if code != 0 || !strings.Contains(out, "forbidden") || !strings.HasSuffix(out, "get: <nil>\nevent: ADDED\nevent: MODIFIED\n") {
		t.Fatalf("exit code %d, output %s", code, out)
	}
	return p
}

func TestLive(t *testing.T) {
	p := observed(t, "-live")
	for _, want := range []string{
		`\d  GET     configmaps/app in prod +403 .* injected: 403\n`,
		`\d  GET     configmaps/app in prod +200 +[\d.]+ \S+ +\d+ B\n`,
		`\d  WATCH   configmaps in prod +open\n`,
		`\d    ADDED    configmaps prod/app  version 8\n`,
		`\d    MODIFIED configmaps prod/app  version 8\n`,
		`\d  WATCH   configmaps in prod +ended by the client after`,
		`Faults were injected into 1 request\.`,
		`configmaps   get +2 .* 1 × 403`,
		`configmaps in prod +1 +1 +2 .* client 1`,
	} {
		if !regexp.MustCompile(want).MatchString(p.stderr.String()) {
			t.Errorf("no line like %s in\n%s", want, &p.stderr)
		}
	}
}

func TestJSONLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seen.jsonl")
	observed(t, "-json", path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want a file for its owner alone", info.Mode(), err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var got []string
	for in := bufio.NewScanner(file); in.Scan(); {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Fatalf("%v: %s", err, in.Text())
		}
		text := fmt.Sprint(l.What, " ", l.ID, " ", l.Verb)
		switch l.What {
		case "event":
			text += fmt.Sprint(" ", l.Event, " ", l.Object, " ", l.Version)
		case "end":
			text += fmt.Sprint(" ", l.Status, " ", l.EndedBy, " ", l.Injected)
		case "stop":
			text += fmt.Sprint(l.Requests, " requests, exit code ", *l.ExitCode)
		}
		got = append(got, strings.TrimSpace(text))
	}
	want := []string{
		"start 0",
		"request 1 get", "answer 1 get", "end 1 get 403 server 403",
		"request 2 get", "answer 2 get", "end 2 get 200 server",
		"request 3 watch", "answer 3 watch", "event 3 watch ADDED prod/app 8", "event 3 watch MODIFIED prod/app 8", "end 3 watch 200 client",
		"stop 0 3 requests, exit code 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// TestJSONLinesAreDocumented: docs/observe.md names each field.
func TestJSONLinesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/observe.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{line{}, adviceOfLine{}} {
		for field := range reflect.TypeOf(v).Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("docs/observe.md does not tell of %q", name)
			}
		}
	}
}

func TestHAR(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seen.har")
	observed(t, "-har", path)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var har struct {
		Log struct {
			Version string
			Entries []struct {
				StartedDateTime time.Time
				Time            float64
				Comment         string
				Request         struct {
					Method, URL string
					QueryString []pair
				}
				Response struct{ Status int }
				Timings  struct{ Wait, Receive float64 }
			}
		}
	}
	if err := json.Unmarshal(raw, &har); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	entries := har.Log.Entries
	if har.Log.Version != "1.2" || len(entries) != 3 {
		t.Fatalf("%s", raw)
	}
	if e := entries[0]; e.Response.Status != http.StatusForbidden || e.Comment != "injected: 403" {
		t.Errorf("%+v", e)
	}
	if e := entries[2]; e.Request.Method != http.MethodGet || !strings.Contains(e.Request.URL, "watch=true") ||
		e.Timings.Wait+e.Timings.Receive > e.Time+0.01 || e.Time <= 0 {
		t.Errorf("%+v", e)
	}
	if strings.Contains(string(raw), "Bearer") {
		t.Error("a token is in the file")
	}
}

// changes makes those of one request.
func changes(id int, verb string, start time.Time, open bool) []observer.Change {
	r := observer.Request{ID: id, Verb: verb, Resource: "configmaps", Start: start, Open: true, Query: url.Values{}, Conn: 1}
	all := []observer.Change{{What: observer.Began, Time: start, Request: r}}
	r.Status = http.StatusOK
	all = append(all, observer.Change{What: observer.Answered, Time: start, Request: r})
	if !open {
		r.Open, r.Duration, r.EndedBy = false, time.Millisecond, observer.ByServer
		all = append(all, observer.Change{What: observer.Ended, Time: start, Request: r})
	}
	return all
}

// TestSummaryForgets: however long observe runs, it keeps the latest requests and those still open.
func TestSummaryForgets(t *testing.T) {
	begin := time.Now()
	s := newSummary(begin)
	const requests = 5*kept + 1
	for id := 1; id <= requests; id++ {
		verb := "get"
		if id == 3 {
			verb = "watch"
		}
		for _, c := range changes(id, verb, begin.Add(time.Duration(id)*time.Millisecond), id == 3) {
			s.tell(c)
		}
		s.tell(observer.Change{What: observer.Event, Request: observer.Request{ID: 3, Resource: "configmaps"}, EventType: watch.Added})
	}
	if len(s.recent) > 2*kept || len(s.events) > 2*kept || len(s.open) != 1 {
		t.Errorf("%d requests and %d events are kept, and %d old ones", len(s.recent), len(s.events), len(s.open))
	}
	r := s.report(begin.Add(time.Minute), true)
	text := strings.Join(r.lines, "\n")
	wants(t, text, "observe: 60 s, 50,001 requests, 1 connection", "configmaps   get       50,000", "The busiest second had 1,000 requests", "1 open")
	seen := s.seen(begin, true)
	if seen.Requests[0].ID != 3 || seen.Requests[len(seen.Requests)-1].ID != requests {
		t.Errorf("from %d to %d", seen.Requests[0].ID, seen.Requests[len(seen.Requests)-1].ID)
	}
	// The old watch ends, and is forgotten.
	end := changes(3, "watch", begin, false)[2]
	s.tell(end)
	if len(s.open) != 0 {
		t.Errorf("%d are still open", len(s.open))
	}
}

func TestMedian(t *testing.T) {
	times := map[int]int{}
	for i := 1; i <= 1001; i++ {
		times[bucketOf(time.Duration(i)*time.Millisecond)]++
	}
	if m := median(times); m < 490*time.Millisecond || m > 512*time.Millisecond {
		t.Errorf("the median of 1 to 1001 ms is %s", m)
	}
}
