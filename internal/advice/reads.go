package advice

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"client-go-lessons/internal/observer"
)

// nothingRead finds a program that ended without a request for any object: all it may have asked for
// is the server's version. "kubectl version" means no more than that.
func nothingRead(s Seen) []finding {
	for _, r := range s.Requests {
		if r.Path != "/version" || strings.HasPrefix(r.UserAgent, "kubectl/") {
			return nil
		}
	}
	if !s.Ended {
		return nil
	}
	return []finding{{1, "The program ended without a request for any object.", false}}
}

// rereadObject finds objects that were read again and again, and were the same each time.
func rereadObject(s Seen) (found []finding) {
	gets := byPath(s.Requests, "get")
	for _, path := range gets.keys {
		reads := gets.of[path]
		same := 0
		for i := 1; i < len(reads); i++ {
			missing := reads[i].Status == http.StatusNotFound && reads[i-1].Status == http.StatusNotFound
			if missing || reads[i].Hash != 0 && reads[i].Hash == reads[i-1].Hash {
				same++
			}
		}
		first, last := reads[0], reads[len(reads)-1]
		if !often(same, first, last) {
			continue
		}
		found = append(found, finding{same, fmt.Sprintf("%s was read %s, every %s, %s without a change.",
			object(first), count(len(reads), "time", "times"), every(len(reads)-1, first, last),
			count(same, "time", "times")), anyInjected(reads)})
	}
	return found
}

// polledList finds lists that are asked for again and again. A list before each watch is not
// counted: it is how a watch begins anew.
func polledList(s Seen) (found []finding) {
	asked := byScope(s.Requests, "list", "watch")
	for _, scope := range asked.keys {
		var lists []observer.Request
		watches, same := 0, 0
		for _, r := range asked.of[scope] {
			switch {
			case r.Verb == "watch":
				watches++
			case ok(r) && r.Query.Get("continue") == "":
				if n := len(lists); n > 0 && r.Hash != 0 && r.Hash == lists[n-1].Hash {
					same++
				}
				lists = append(lists, r)
			}
		}
		if len(lists) == 0 || !often(len(lists)-watches, lists[0], lists[len(lists)-1]) {
			continue
		}
		n := len(lists)
		text := fmt.Sprintf("%s were listed %s, every %s", scope, count(n, "time", "times"), every(n-1, lists[0], lists[n-1]))
		if same > 0 {
			text += fmt.Sprintf(", %s without a change", count(same, "time", "times"))
		}
		found = append(found, finding{n, text + ".", anyInjected(lists)})
	}
	return found
}

// bigList finds lists without a limit that are large. One that a cache of any age may answer costs
// the server little: an informer asks so.
func bigList(s Seen) (found []finding) {
	const large, packed = 1 << 20, 128 << 10 // a compressed list of 1 MiB has about the second
	lists := byScope(s.Requests, "list")
	for _, scope := range lists.keys {
		n, biggest := 0, int64(0)
		for _, r := range lists.of[scope] {
			limit := int64(large)
			if r.Header.Get("Content-Encoding") != "" {
				limit = packed
			}
			if ok(r) && r.Query.Get("limit") == "" && r.Query.Get("resourceVersion") != "0" && r.Bytes >= limit {
				n++
				biggest = max(biggest, r.Bytes)
			}
		}
		if n > 0 {
			found = append(found, finding{int(biggest >> 10), fmt.Sprintf("A list of %s came in one piece of %s on the wire, %s.",
				scope, Size(biggest), count(n, "time", "times")), false})
		}
	}
	return found
}

// jsonTraffic finds a client of client-go that reads built-in resources as JSON, and much of them.
func jsonTraffic(s Seen) (found []finding) {
	const much = 1 << 20
	clients := groupBy(s.Requests, func(r observer.Request) (string, bool) {
		// Groups without a dot and those of k8s.io are built in; custom resources have no protobuf.
		builtIn := !strings.Contains(r.APIGroup, ".") || strings.HasSuffix(r.APIGroup, ".k8s.io")
		return r.UserAgent, r.Resource != "" && r.Subresource == "" && builtIn && ok(r) &&
			strings.Contains(r.UserAgent, ") kubernetes/") && // client-go's own way to name a program
			strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") &&
			!strings.Contains(r.Accept, "as=Table") // kubectl's, which exist for people
	})
	for _, client := range clients.keys {
		bytes := sizeOf(clients.of[client])
		if bytes >= much {
			name, _, _ := strings.Cut(client, " ")
			found = append(found, finding{int(bytes >> 10), fmt.Sprintf("%s read %s of JSON, in %s for built-in resources.",
				name, Size(bytes), count(len(clients.of[client]), "answer", "answers")), false})
		}
	}
	return found
}

func sizeOf(requests []observer.Request) (sum int64) {
	for _, r := range requests {
		sum += r.Bytes
	}
	return sum
}

// heldBack finds different requests that come evenly spaced while nothing is under way: the client
// could send the next one, and waits. client-go counts for each API group alone.
func heldBack(s Seen) (found []finding) {
	const (
		fewest   = 8
		idle     = 30 * time.Millisecond // less may be the program's own work
		longest  = 2 * time.Second
		evenness = 0.2
	)
	clients := groupBy(s.Requests, func(r observer.Request) ([2]string, bool) {
		return [2]string{r.UserAgent, r.APIGroup}, r.Resource != "" && r.Verb != "watch"
	})
	for _, client := range clients.keys {
		requests := clients.of[client]
		var run, best []observer.Request // each but the first evenly spaced from the one before
		var base time.Duration
		for i, r := range requests {
			if i == 0 {
				continue
			}
			before := requests[i-1]
			gap, wait := r.Start.Sub(before.Start), r.Start.Sub(s.end(before))
			even := len(run) > 0 && (gap-base).Abs() <= time.Duration(evenness*float64(base))
			switch {
			case before.Open || wait < idle || wait < gap/2 || gap > longest:
				run = nil
			case even:
				run = append(run, r)
			default:
				run, base = []observer.Request{before, r}, gap
			}
			if len(run) > len(best) {
				best = slices.Clone(run)
			}
		}
		different := groupBy(best, func(r observer.Request) (string, bool) { return r.Verb + r.Path, true })
		if len(best) <= fewest || len(different.keys) < len(best)/2 {
			continue
		}
		n := len(best) - 1
		var answers time.Duration
		for _, r := range best {
			answers += r.Duration
		}
		found = append(found, finding{n, fmt.Sprintf("%s came one every %s, though an answer took %s on average.",
			count(n, "request", "requests"), every(n, best[0], best[n]), Duration(answers/time.Duration(len(best)))), false})
	}
	return found
}
