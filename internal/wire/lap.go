package wire

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Lap is what went over the wire between two calls of [Counter.Lap].
type Lap struct {
	Requests      map[string]int // by verb, as Kubernetes names them: list, get, watch, create, ...
	Status        map[int]int    // answers by HTTP status
	Connections   int            // connections used for the first time
	Proto         string         // of the last answer, such as HTTP/2.0
	Bytes         int64          // of the bodies of the answers, after decompression
	Events        int64          // bytes that came by watches which were open before, likewise
	Throttled     time.Duration  // time that client-go's own rate limiter held requests back
	OpenWatches   int            // watches open at the moment of the call
	FlowSchema    types.UID      // of the last answer: which flow schema matched the request
	PriorityLevel types.UID      // of the last answer: which priority level it ran in
}

func newLap() Lap { return Lap{Requests: map[string]int{}, Status: map[int]int{}} }

// Total is the number of requests of all verbs.
func (l Lap) Total() int {
	n := 0
	for _, k := range l.Requests {
		n += k
	}
	return n
}

// String says it in one line, for example "1 LIST, 1 new connection (HTTP/2), 2.9 kB", or, if a
// watch was open already, "1 UPDATE, 0 new connections, 300 B + 420 B events".
func (l Lap) String() string {
	var parts []string
	for _, verb := range slices.SortedFunc(maps.Keys(l.Requests), byUse) {
		parts = append(parts, fmt.Sprintf("%d %s", l.Requests[verb], strings.ToUpper(verb)))
	}
	requests := strings.Join(parts, " + ")
	if requests == "" {
		return "0 requests"
	}
	conns := fmt.Sprintf("%d new connections", l.Connections)
	if l.Connections == 1 {
		conns = "1 new connection"
	}
	if l.Connections > 0 && l.Proto != "" {
		conns += " (" + strings.TrimSuffix(l.Proto, ".0") + ")"
	}
	bytes := Bytes(l.Bytes)
	if l.Events > 0 {
		bytes += " + " + Bytes(l.Events) + " events"
	}
	return fmt.Sprintf("%s, %s, %s", requests, conns, bytes)
}

// verbs is the order in which a lap lists them.
var verbs = []string{"list", "get", "watch", "create", "update", "patch", "delete"}

func byUse(a, b string) int {
	at := func(v string) int {
		if i := slices.Index(verbs, v); i >= 0 {
			return i
		}
		return len(verbs)
	}
	return at(a) - at(b)
}

// Bytes writes n with a decimal unit, as in "2.9 kB".
func Bytes(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
}
