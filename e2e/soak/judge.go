package soak

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Outcome is how a run came out, when it came out well.
type Outcome string

const (
	Survived    Outcome = "survived"
	Failed      Outcome = "failed clearly" // exit code 1, and it said what failed
	Interrupted Outcome = "interrupted"    // by SIGINT or SIGTERM
	Killed      Outcome = "killed"
)

// Outcomes are in the order in which reports show them.
var Outcomes = []Outcome{Survived, Failed, Interrupted, Killed}

// Result is what is known of a run when it is over.
type Result struct {
	Code           int // exit code, -1 if a signal ended the process
	Hung           bool
	Stdout, Stderr string
	Leaks          string         // stacks of goroutines that the lesson left
	Unreported     bool           // the lesson wrote no report of its goroutines
	Signaled       bool           // the plan's signal was sent
	Sent           map[string]int // requests for anything but namespaces, by verb, as the observer saw them
	Version        string         // the server's
}

// klogLine begins what client-go logs by itself; lines that follow one and are indented, or end
// its multi-line value, belong to it.
var (
	klogLine = regexp.MustCompile(`^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ `)
	klogMore = regexp.MustCompile(`^(\t| >)`)
)

// Said is what the lesson itself wrote to stderr, by line.
func (r Result) Said() (lines []string) {
	inLog := false
	for line := range strings.Lines(r.Stderr) {
		line = strings.TrimRight(line, "\n")
		if inLog = klogLine.MatchString(line) || inLog && klogMore.MatchString(line); !inLog {
			lines = append(lines, line)
		}
	}
	return lines
}

var (
	trace = regexp.MustCompile(`(?m)^goroutine \d+|^panic: |DATA RACE|runtime error:`)
	// vague says that something failed, and not what.
	vague    = regexp.MustCompile(`^Error: (step \d+: )?(context canceled|context deadline exceeded|EOF|unexpected EOF)?\.?$`)
	leftNS   = regexp.MustCompile(`kubectl delete namespace (\S+)`)
	goneNS   = regexp.MustCompile(`Namespace (\S+) is deleted`)
	headerNS = regexp.MustCompile(`(?m)^namespace +(\S+),`)
)

// Judge says how a run came out, and everything that is wrong with it.
func Judge(p Plan, r Result) (o Outcome, wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	said := r.Said()
	if m := trace.FindString(r.Stdout + "\n" + r.Stderr); m != "" {
		bad("it printed %q", m)
	}
	if r.Hung {
		bad("it hung")
	}
	killed := r.Signaled && p.Signal.Name == "KILL"
	switch want := map[string]int{"INT": 130, "TERM": 143}[p.Signal.Name]; {
	case killed && r.Code == -1:
		return Killed, wrong
	case r.Hung:
		return Failed, wrong
	case r.Signaled && r.Code == want && want != 0:
		o = Interrupted
		if len(said) == 0 || !strings.HasPrefix(said[0], "Interrupted.") || len(said) > 3 {
			bad("its farewell is not one: %q", said)
		}
	case r.Code == 0:
		o = Survived
		if len(said) > 0 {
			bad("it succeeded and yet wrote %q", said)
		}
		if !strings.Contains(r.Stdout, "What you can now say") {
			bad("it succeeded without coming to its end")
		}
	case r.Code == 1:
		o = Failed
		most := 2
		if _, left, _ := r.Namespaces(); left != "" {
			most = 4 // two on what failed, two on the namespace
		}
		if len(said) < 1 || len(said) > most {
			bad("it failed with %d lines, want one or two: %q", len(said), said)
		}
		for _, line := range said {
			if vague.MatchString(line) {
				bad("it does not say what failed: %q", line)
			}
		}
		if p.Mild() {
			bad("it failed where it should have got over it: %q", said)
		}
	default:
		bad("exit code %d: %q", r.Code, said)
	}
	if r.Leaks != "" {
		bad("it left goroutines:\n%s", r.Leaks)
	}
	if r.Unreported {
		bad("it wrote no report of its goroutines")
	}
	return o, append(wrong, untrue(p, r)...)
}

// Namespaces are those that the lesson spoke of: its own, and what it said of it.
func (r Result) Namespaces() (own, left, deleted string) {
	group := func(expr *regexp.Regexp, text string) string {
		if m := expr.FindStringSubmatch(text); m != nil {
			return strings.TrimRight(m[1], ".")
		}
		return ""
	}
	own, left, deleted = group(headerNS, r.Stdout), group(leftNS, r.Stderr), group(goneNS, r.Stderr)
	return own, left, deleted
}

// A claim is a sentence that lessons print only when they have found it so, and when it may be so.
var claims = []struct {
	sentence string
	may      func(Plan) bool
}{
	{"there is no HTTP/2 between you and the server", func(p Plan) bool { return p.HTTP1 }},
	{"Over HTTP/1.1, each watch keeps a connection", func(p Plan) bool { return p.HTTP1 }},
	{"This server does not", func(Plan) bool { return false }},
	{"This server sends no such headers", func(Plan) bool { return false }},
	{"This user may not", func(p Plan) bool { return p.has("403") }},
}

var wireLine = regexp.MustCompile(`(?m)^ +wire: (.*?), \d+ new connection`)

// untrue finds what the lesson says and cannot be so.
func untrue(p Plan, r Result) (wrong []string) {
	for _, c := range claims {
		if strings.Contains(r.Stdout, c.sentence) && !c.may(p) {
			wrong = append(wrong, fmt.Sprintf("it says %q, which is not so", c.sentence))
		}
	}
	if i := strings.Index(r.Stdout, "· Kubernetes "); i >= 0 && !strings.HasPrefix(r.Stdout[i:], "· Kubernetes "+r.Version+"\n") {
		wrong = append(wrong, fmt.Sprintf("it names another version than %s", r.Version))
	}
	if p.Breaks() {
		return wrong // requests may have been lost on their way
	}
	counted := map[string]int{}
	for _, m := range wireLine.FindAllStringSubmatch(r.Stdout, -1) {
		for part := range strings.SplitSeq(m[1], " + ") {
			number, verb, _ := strings.Cut(part, " ")
			n, err := strconv.Atoi(number)
			if err != nil {
				wrong = append(wrong, fmt.Sprintf("a wire line that cannot be read: %q", m[0]))
			}
			counted[strings.ToLower(verb)] += n
		}
	}
	for verb, n := range counted {
		if verb != "other" && n > r.Sent[verb] {
			wrong = append(wrong, fmt.Sprintf("it counted %d requests to %s, %d were sent", n, verb, r.Sent[verb]))
		}
	}
	return wrong
}

// Breaks tells whether one of the faults may keep a request from the server without a trace.
func (p Plan) Breaks() bool { return slices.ContainsFunc(breaking, p.has) }

func (p Plan) has(kind string) bool {
	return slices.ContainsFunc(p.Faults, func(f Fault) bool { return f.Kind == kind })
}
