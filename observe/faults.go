package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"client-go-lessons/internal/observer"
)

// fault is something to inject, as -fault names it.
type fault struct {
	match observer.Match
	fault observer.Fault
	at    time.Duration // after the start
}

var verbs = []string{"list", "get", "watch", "create", "update", "patch", "delete", "deletecollection"}

// parseFault reads 'WHICH: WHAT, WHEN'; the usage explains it.
func parseFault(text string) (f fault, err error) {
	which, rest, ok := strings.Cut(text, ":")
	if !ok {
		return f, fmt.Errorf(`in %q there is no ":" between which requests and what happens to them`, text)
	}
	if f.match, err = parseWhich(strings.TrimSpace(which)); err != nil {
		return f, err
	}
	parts := strings.Split(rest, ",")
	for i := range parts {
		parts[i] = strings.Join(strings.Fields(parts[i]), " ")
	}
	what, parts := parts[0], parts[1:]
	if len(parts) > 0 && strings.HasPrefix(parts[0], "retry after ") {
		what, parts = what+", "+parts[0], parts[1:]
	}
	if f.fault, err = parseWhat(what); err != nil {
		return f, err
	}
	for _, when := range parts {
		if err := f.parseWhen(when); err != nil {
			return f, err
		}
	}
	return f, nil
}

func parseWhich(text string) (m observer.Match, err error) {
	path, namespace, _ := strings.Cut(text, " in ")
	parts := strings.Split(strings.TrimSpace(path), "/")
	if len(parts) < 2 || len(parts) > 3 {
		return m, fmt.Errorf(`%q is not VERB/RESOURCE or VERB/RESOURCE/NAME`, text)
	}
	for i, part := range parts {
		switch part {
		case "*":
			parts[i] = ""
		case "":
			return m, fmt.Errorf(`%q has an empty part: * stands for any`, text)
		}
	}
	if parts[0] != "" && !slices.Contains(verbs, parts[0]) {
		return m, fmt.Errorf("there is no verb %q: it is one of %s, or *", parts[0], strings.Join(verbs, ", "))
	}
	m = observer.Match{Verb: parts[0], Resource: parts[1], Namespace: strings.TrimSpace(namespace)}
	if len(parts) == 3 {
		m.Name = parts[2]
	}
	return m, nil
}

// simple are the faults that are named by their words alone.
var simple = map[string]func() observer.Fault{
	"403": observer.Forbidden, "404": observer.NotFound, "404 namespace": observer.NamespaceNotFound,
	"410": observer.Expired, "500": observer.ServerError, "503": observer.Unavailable,
	"429":          func() observer.Fault { return observer.TooManyRequests(0) },
	"never answer": observer.NeverAnswer, "silent": observer.Silent,
	"hold answer": func() observer.Fault { return observer.HoldAnswer(observer.NewGate()) },
	"reset":       observer.ResetAtOnce, "bookmarks only": observer.BookmarksOnly,
}

// counted are those with a number of bytes or events.
var counted = map[string]func(n int) observer.Fault{
	"reset after bytes":    func(n int) observer.Fault { return observer.ResetAfterBytes(int64(n)) },
	"abort after bytes":    func(n int) observer.Fault { return observer.AbortAfterBytes(int64(n)) },
	"truncate to bytes":    func(n int) observer.Fault { return observer.Truncate(int64(n)) },
	"cut after events":     observer.CutAfterEvents,
	"reset after events":   observer.ResetAfterEvents,
	"end after events":     observer.EndAfterEvents,
	"410 after events":     observer.ExpireAfterEvents,
	"garbage after events": observer.GarbageAfterEvents,
}

// timed are those with a duration.
var timed = map[string]func(time.Duration) observer.Fault{
	"delay":            observer.Delay,
	"429, retry after": observer.TooManyRequests,
}

var (
	countedExpr = regexp.MustCompile(`^(\w+ (?:after|to)) (\d+) (byte|event)s?$`)
	timedExpr   = regexp.MustCompile(`^(delay|429, retry after) (\S+)$`)
	timesExpr   = regexp.MustCompile(`^(\d+) times$`)
	atExpr      = regexp.MustCompile(`^at (\S+)$`)
)

func parseWhat(what string) (observer.Fault, error) {
	if f := simple[what]; f != nil {
		return f(), nil
	}
	if m := countedExpr.FindStringSubmatch(what); m != nil {
		n, err := strconv.Atoi(m[2])
		if f := counted[m[1]+" "+m[3]+"s"]; f != nil && err == nil {
			return f(n), nil
		}
	}
	if m := timedExpr.FindStringSubmatch(what); m != nil {
		d, err := time.ParseDuration(m[2])
		if err != nil {
			return observer.Fault{}, fmt.Errorf("%q is no time: write 300ms, 2s or 1m", m[2])
		}
		return timed[m[1]](d), nil
	}
	return observer.Fault{}, fmt.Errorf("there is no fault %q", what)
}

func (f *fault) parseWhen(when string) error {
	m := &f.match
	switch times, at := timesExpr.FindStringSubmatch(when), atExpr.FindStringSubmatch(when); {
	case when == "once":
		m.To = 1
	case when == "twice":
		m.To = 2
	case when == "always":
		m.To = 0
	case times != nil:
		n, err := strconv.Atoi(times[1])
		if err != nil || n == 0 {
			return fmt.Errorf("%q is no number of times", times[1])
		}
		m.To = n
	case at != nil:
		d, err := time.ParseDuration(at[1])
		if err != nil || d < 0 {
			return fmt.Errorf("%q is no time: write 300ms, 2s or 1m", at[1])
		}
		f.at = d
	default:
		return fmt.Errorf("%q says no time: write once, twice, 5 times, always, at 10s", when)
	}
	return nil
}
