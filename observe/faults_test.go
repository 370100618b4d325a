package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"client-go-lessons/internal/observer"
)

func TestParseFault(t *testing.T) {
	tests := []struct {
		text string
		want observer.Match // without Func
		name string
		at   time.Duration
	}{
		{"watch/configmaps: cut after 3 events", observer.Match{Verb: "watch", Resource: "configmaps"}, "cut after 3 events", 0},
		{"list/*: 429, retry after 2s, twice", observer.Match{Verb: "list", To: 2}, "429, retry after 2s", 0},
		{"get/configmaps/app in prod: 404, once", observer.Match{Verb: "get", Resource: "configmaps", Name: "app", Namespace: "prod", To: 1}, "404", 0},
		{"*/*: delay 300ms, at 10s", observer.Match{}, "delay 300ms", 10 * time.Second},
		{" watch / * :  end  after 1 event , 5 times, at 1m", observer.Match{}, "", 0},
		{"watch/*: end after 1 event, 5 times, at 1m", observer.Match{Verb: "watch", To: 5}, "end after 1 events", time.Minute},
	}
	for _, test := range tests {
		f, err := parseFault(test.text)
		if test.name == "" {
			if err == nil {
				t.Errorf("%q is taken for %+v", test.text, f)
			}
			continue
		}
		m := f.match
		if err != nil || m.Verb != test.want.Verb || m.Resource != test.want.Resource || m.Name != test.want.Name ||
			m.Namespace != test.want.Namespace || m.To != test.want.To || f.at != test.at || f.fault.Name() != test.name {
			t.Errorf("%q: %+v %q at %s, %v", test.text, m, f.fault.Name(), f.at, err)
		}
	}
}

// TestParseFaultSaysWhatIsWrong: each mistake is named, with what would be right where that is short.
func TestParseFaultSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"watch/configmaps cut":             `no ":"`,
		"watch: cut after 3 events":        "not VERB/RESOURCE",
		"look/configmaps: 404":             `no verb "look"`,
		"get//app: 404":                    "empty part",
		"get/configmaps: 418":              `no fault "418"`,
		"get/configmaps: delay soon":       `"soon" is no time`,
		"get/configmaps: 404, thrice":      "write once, twice, 5 times, always, at 10s",
		"get/configmaps: 404, 0 times":     "no number of times",
		"watch/x: cut after three events":  "no fault",
		"watch/x: truncate after 3 events": "no fault",
		"":                                 `no ":"`,
	} {
		if _, err := parseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestUsageShowsEachFault: what -h lists can be written, and what can be written is listed.
func TestUsageShowsEachFault(t *testing.T) {
	for _, m := range regexp.MustCompile(`-fault '([^W][^']*)'`).FindAllStringSubmatch(usage, -1) {
		if _, err := parseFault(m[1]); err != nil {
			t.Errorf("the example %q: %v", m[1], err)
		}
	}
	var all []string
	for name := range simple {
		all = append(all, name)
	}
	for name := range timed {
		all = append(all, name+" 2s")
	}
	for name := range counted {
		words := strings.Fields(name)
		n := map[string]string{"bytes": "100", "events": "3"}[words[2]]
		all = append(all, strings.Join([]string{words[0], words[1], n, words[2]}, " "))
	}
	for _, name := range all {
		if _, err := parseFault("watch/*: " + name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if !regexp.MustCompile(`(?m)(^|  )` + regexp.QuoteMeta(name) + `(  |$)`).MatchString(usage) {
			t.Errorf("-h does not list %q", name)
		}
	}
	for line := range strings.Lines(usage) {
		if len(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("longer than 80 columns: %s", line)
		}
	}
}
