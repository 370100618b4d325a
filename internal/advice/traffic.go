package advice

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"client-go-lessons/internal/observer"
)

// connectionEach finds a client that opens a connection for every request or two.
func connectionEach(s Seen) (found []finding) {
	const fewest = 10
	clients := groupBy(s.Requests, func(r observer.Request) (string, bool) { return r.UserAgent, true })
	for _, client := range clients.keys {
		conns := groupBy(clients.of[client], func(r observer.Request) (int, bool) { return r.Conn, r.Verb != "watch" })
		requests := 0
		for _, c := range conns.keys {
			requests += len(conns.of[c])
		}
		if n := len(conns.keys); n >= fewest && requests <= 2*n {
			found = append(found, finding{n, fmt.Sprintf("%s used %d connections, each with a handshake of its own.",
				count(requests, "request", "requests"), n), anyInjected(clients.of[client])})
		}
	}
	return found
}

// refused finds requests that were refused for good, and sent again: for want of a right, or of a
// valid user; a write also because it asks for something that is not there or makes no sense.
func refused(s Seen) (found []finding) {
	const fewest = 3
	type kind struct {
		status                     int
		verb, group, ns, name, sub string
		resource                   string
	}
	kinds := groupBy(s.Requests, func(r observer.Request) (kind, bool) {
		k := kind{r.Status, r.Verb, r.APIGroup, r.Namespace, r.Name, r.Subresource, r.Resource}
		switch r.Status {
		case http.StatusForbidden, http.StatusUnauthorized:
			return k, true
		case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity:
			return k, r.Verb == "create" || r.Verb == "update" || r.Verb == "patch"
		}
		return k, false
	})
	for _, k := range kinds.keys {
		requests := kinds.of[k]
		n := len(requests)
		if n < fewest {
			continue
		}
		found = append(found, finding{n, fmt.Sprintf("%d was the answer to %s of %s, %s within %s.",
			k.status, k.verb, scope{resource: k.resource, namespace: k.ns, name: strings.Trim(k.name+"/"+k.sub, "/")},
			count(n, "time", "times"), Duration(requests[n-1].Start.Sub(requests[0].Start))), anyInjected(requests)})
	}
	return found
}

// tooMany finds answers of 429, and says whether the client waited as it was asked to.
func tooMany(s Seen) (found []finding) {
	const slack = 500 * time.Millisecond // client and observer count from different moments
	clients := groupBy(s.Requests, func(r observer.Request) (string, bool) { return r.UserAgent, r.Verb != "" })
	for _, client := range clients.keys {
		requests := clients.of[client]
		n, tooSoon, waited, injected := 0, 0, 0, true
		for i, r := range requests {
			if r.Status != http.StatusTooManyRequests {
				continue
			}
			n++
			injected = injected && r.Injected != ""
			seconds, _ := strconv.Atoi(r.Header.Get("Retry-After")) // 0 if there is none, or a date
			for _, later := range requests[i+1:] {
				if later.Verb != r.Verb || later.Path != r.Path {
					continue
				}
				switch gap := later.Start.Sub(s.end(r)); {
				case seconds == 0 && gap >= time.Second: // it chose a pause of its own
				case seconds == 0 || gap < time.Duration(seconds)*time.Second-slack:
					tooSoon++
				default:
					waited++
				}
				break
			}
		}
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("429 was the answer %s.", count(n, "time", "times"))
		if waited > 0 {
			text += fmt.Sprintf(" The client waited as it was asked to and tried again, %s.", count(waited, "time", "times"))
		}
		if tooSoon > 0 {
			text += fmt.Sprintf(" It tried again without the wait, %s.", count(tooSoon, "time", "times"))
		}
		found = append(found, finding{n, text, injected})
	}
	return found
}
