package advice

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/observer"
)

// cases has for each rule a record in which it finds something, what it says of that, and records in
// which it must find nothing.
var cases = map[string]struct {
	wrong Seen
	says  string
	right map[string]Seen
}{
	"nothing-read": {
		wrong: seen(request("", "", 0, ms, askVersion)),
		says:  "The program ended without a request for any object.",
		right: map[string]Seen{
			"it read something": seen(request("", "", 0, ms, askVersion), request("get", "app", ms, ms)),
			"still running":     seen(request("", "", 0, ms, askVersion)).running(),
			"kubectl version":   seen(request("", "", 0, ms, askVersion, func(r *observer.Request) { r.UserAgent = "kubectl/v1.37.2" })),
		},
	},
	"reread-object": {
		wrong: seen(times(8, func(i int) observer.Request { return request("get", "app", each(i, time.Second), ms, hash(1)) })...),
		says:  "configmaps/app was read 8 times, every 1.0 s, 7 times without a change.",
		right: map[string]Seen{
			"it changed each time": seen(times(8, func(i int) observer.Request { return request("get", "app", each(i, time.Second), ms, hash(i+1)) })...),
			"once in five minutes": seen(times(8, func(i int) observer.Request { return request("get", "app", each(i, 5*time.Minute), ms, hash(1)) })...),
			"each another object": seen(times(8, func(i int) observer.Request {
				return request("get", fmt.Sprint("app-", i), each(i, time.Second), ms, hash(1))
			})...),
		},
	},
	"polled-list": {
		wrong: seen(times(6, func(i int) observer.Request { return request("list", "", each(i, 2*time.Second), ms, hash(1+i/5)) })...),
		says:  `configmaps in "prod" were listed 6 times, every 2.0 s, 4 times without a change.`,
		right: map[string]Seen{
			"pages of one list": seen(times(6, func(i int) observer.Request {
				return request("list", "", each(i, ms), ms, query("continue", strings.Repeat("x", i)))
			})...),
			"a list before each watch": seen(times(12, func(i int) observer.Request {
				return request([]string{"list", "watch"}[i%2], "", each(i, time.Second), ms)
			})...),
		},
	},
	"big-list": {
		wrong: seen(request("list", "", 0, ms, bytes(4_100_000))),
		says:  `A list of configmaps in "prod" came in one piece of 4.1 MB on the wire, 1 time.`,
		right: map[string]Seen{
			"in pages":     seen(request("list", "", 0, ms, bytes(4_100_000), query("limit", "500"))),
			"from a cache": seen(request("list", "", 0, ms, bytes(4_100_000), query("resourceVersion", "0"))),
			"small":        seen(request("list", "", 0, ms, bytes(100_000))),
		},
	},
	"json": {
		wrong: seen(request("list", "", 0, ms, bytes(2_000_000), json, clientGo)),
		says:  "app/v1 read 2.0 MB of JSON, in 1 answer for built-in resources.",
		right: map[string]Seen{
			"little":              seen(request("list", "", 0, ms, bytes(2000), json, clientGo)),
			"another language":    seen(request("list", "", 0, ms, bytes(2_000_000), json)),
			"a custom resource":   seen(request("list", "", 0, ms, bytes(2_000_000), json, clientGo, group("example.com"))),
			"a table for kubectl": seen(request("list", "", 0, ms, bytes(2_000_000), json, clientGo, accept("application/json;as=Table"))),
		},
	},
	"held-back": {
		wrong: seen(times(25, func(i int) observer.Request {
			return request("get", fmt.Sprint("shelf-", i), max(0, each(i-9, 200*ms))+each(i, 2*ms), 2*ms)
		})...),
		says: "15 requests came one every 202 ms, though an answer took 2.0 ms on average.",
		right: map[string]Seen{
			"the server is slow": seen(times(25, func(i int) observer.Request {
				return request("get", fmt.Sprint("shelf-", i), each(i, 200*ms), 195*ms)
			})...),
			"at once": seen(times(25, func(i int) observer.Request {
				return request("get", fmt.Sprint("shelf-", i), each(i, 2*ms), 2*ms)
			})...),
			"the same object, by a timer": seen(times(25, func(i int) observer.Request { return request("get", "app", each(i, 200*ms), 2*ms) })...),
			"at odd times": seen(times(25, func(i int) observer.Request {
				return request("get", fmt.Sprint("shelf-", i), each(i, 100*ms)+each(i%3, 90*ms), 2*ms)
			})...),
		},
	},
	"connection-each": {
		wrong: seen(times(30, func(i int) observer.Request { return request("get", "app", each(i, ms), ms, hash(i), conn(i)) })...),
		says:  "30 requests used 30 connections, each with a handshake of its own.",
		right: map[string]Seen{
			"one connection": seen(times(30, func(i int) observer.Request { return request("get", "app", each(i, ms), ms, hash(i)) })...),
			"watches over HTTP/1.1": seen(times(30, func(i int) observer.Request {
				return request("watch", "", each(i, ms), ms, byClient(), conn(i))
			})...),
		},
	},
	"refused": {
		wrong: seen(times(4, func(i int) observer.Request {
			return request("list", "", each(i, 2*time.Second), ms, status(http.StatusForbidden))
		})...),
		says: `403 was the answer to list of configmaps in "prod", 4 times within 6.0 s.`,
		right: map[string]Seen{
			"once": seen(request("list", "", 0, ms, status(http.StatusForbidden))),
			"of different things": seen(times(4, func(i int) observer.Request {
				return request("get", fmt.Sprint("app-", i), each(i, time.Second), ms, status(http.StatusForbidden))
			})...),
		},
	},
	"too-many": {
		wrong: seen(
			request("get", "app", 0, ms, status(http.StatusTooManyRequests), header("Retry-After", "1")),
			request("get", "app", 1100*ms, ms, status(http.StatusTooManyRequests), header("Retry-After", "1")),
			request("get", "app", 1110*ms, ms)),
		says: "429 was the answer 2 times. The client waited as it was asked to and tried again, 1 time. It tried again without the wait, 1 time.",
		right: map[string]Seen{
			"no 429": seen(request("get", "app", 0, ms)),
		},
	},
	"same-watch": {
		wrong: seen(times(4, func(i int) observer.Request { return request("watch", "", each(i, time.Second), ms, open()) })...),
		says:  `4 watches on configmaps in "prod" were open at the same time, all without a selector.`,
		right: map[string]Seen{
			"one after another": seen(times(4, func(i int) observer.Request {
				return request("watch", "", each(i, time.Second), time.Second, byClient())
			})...),
			"with different selectors": seen(times(4, func(i int) observer.Request {
				return request("watch", "", 0, ms, open(), query("labelSelector", fmt.Sprint("app=", i)))
			})...),
			"of different programs": seen(times(4, func(i int) observer.Request {
				return request("watch", "", 0, ms, open(), func(r *observer.Request) { r.UserAgent = fmt.Sprint(i) })
			})...),
		},
	},
	"watch-from-nowhere": {
		wrong: seen(request("list", "", 0, ms), request("watch", "", 2*ms, time.Second, byClient())),
		says:  `1 watch on configmaps in "prod" began at no version, after a list or a watch that gave one.`,
		right: map[string]Seen{
			"at the list's":        seen(request("list", "", 0, ms), request("watch", "", 2*ms, time.Second, byClient(), query("resourceVersion", "7"))),
			"nothing before":       seen(request("watch", "", 2*ms, time.Second, byClient())),
			"with the first state": seen(request("list", "", 0, ms), request("watch", "", 2*ms, time.Second, byClient(), streaming, events(watch.Bookmark))),
		},
	},
	"restless-watch": {
		wrong: seen(times(9, func(i int) observer.Request { return request("watch", "", each(i, 200*ms), 190*ms) })...),
		says:  `9 watches on configmaps in "prod" began and ended within 1.8 s, none lasted a second.`,
		right: map[string]Seen{
			"long ones":         seen(times(9, func(i int) observer.Request { return request("watch", "", each(i, time.Minute), 59*time.Second) })...),
			"with a pause":      seen(times(9, func(i int) observer.Request { return request("watch", "", each(i, 2*time.Second), 190*ms) })...),
			"ended by a client": seen(times(9, func(i int) observer.Request { return request("watch", "", each(i, 200*ms), 190*ms, byClient()) })...),
		},
	},
	"gone-again": {
		wrong: seen(times(5, func(i int) observer.Request {
			return request("watch", "", each(i, 300*ms), ms, query("resourceVersion", "4711"), status(http.StatusGone))
		})...),
		says: `410 was the answer to a watch on configmaps in "prod", and the next one asked for version "4711" again: 4 times.`,
		right: map[string]Seen{
			"a list after it": seen(
				request("watch", "", 0, ms, query("resourceVersion", "4711"), status(http.StatusGone)),
				request("list", "", 2*ms, ms),
				request("watch", "", 4*ms, time.Second, query("resourceVersion", "4711"), byClient())),
		},
	},
	"watch-ended": {
		wrong: seen(request("list", "", 0, ms), request("watch", "", 2*ms, time.Second, query("resourceVersion", "7"), events(watch.Added, watch.Deleted))),
		says:  `The watch on configmaps in "prod" ended after 2 events. None followed in the 19 s until the end.`,
		right: map[string]Seen{
			"stopped by the client": seen(request("watch", "", 2*ms, time.Second, byClient())),
			"another one followed":  seen(request("watch", "", 2*ms, time.Second), request("watch", "", time.Second, ms, query("resourceVersion", "7"), open())),
			"the program ended too": seen(request("watch", "", 2*ms, 19*time.Second)),
		},
	},
	"watch-kept": {
		wrong: kept(seen(times(6, func(i int) observer.Request { return request("watch", "", each(i, time.Second), ms, open()) })...)),
		says:  "6 watches on configmaps were begun one after another, and none was stopped.",
		right: map[string]Seen{
			"begun together": seen(times(6, func(i int) observer.Request {
				return request("watch", "", 0, ms, open(), query("fieldSelector", fmt.Sprint(i)))
			})...),
			"each stopped": kept(seen(times(6, func(i int) observer.Request { return request("watch", "", each(i, time.Second), 900*ms, byClient()) })...)),
		},
	},
	"unsynced": {
		wrong: seen(request("watch", "", 19*time.Second, 990*ms, streaming, byClient())),
		says:  `The program ended before its copy of configmaps in "prod" was filled, 0.99 s after it had asked for it.`,
		right: map[string]Seen{
			"filled":        seen(request("watch", "", 19*time.Second, 990*ms, streaming, byClient(), events(watch.Added, watch.Bookmark))),
			"still running": seen(request("watch", "", 19*time.Second, 0, streaming, open())).running(),
			"a plain watch": seen(request("watch", "", 19*time.Second, 990*ms, byClient())),
		},
	},
	"stuck-sync": {
		wrong: seen(request("watch", "", 0, 0, streaming, open(), events(watch.Added))).running(),
		says:  `A watch on configmaps in "prod" brought no bookmark in 20 s, so the copy is not whole.`,
		right: map[string]Seen{
			"with a bookmark": seen(request("watch", "", 0, 0, streaming, open(), events(watch.Added, watch.Bookmark))).running(),
			"a moment ago":    seen(request("watch", "", 19*time.Second, 0, streaming, open(), events(watch.Added))).running(),
		},
	},
	"conflict-again": {
		wrong: seen(times(5, func(i int) observer.Request {
			return request("update", "app", each(i, 10*ms), ms, status(http.StatusConflict), version("5120", ""))
		})...),
		says: "5 conflicts in a row on configmaps/app, each from resourceVersion 5120.",
		right: map[string]Seen{
			"from a fresh read each": seen(times(5, func(i int) observer.Request {
				return request("update", "app", each(i, 10*ms), ms, status(http.StatusConflict), version(fmt.Sprint(i+1), ""))
			})...),
		},
	},
	"write-left": {
		wrong: seen(request("update", "door", 0, 100*ms, status(http.StatusConflict), version("7", ""))),
		says:  "An update of configmaps/door was refused with 409, and nothing was sent for it in the 20 s until the end.",
		right: map[string]Seen{
			"tried again": seen(
				request("update", "door", 0, 100*ms, status(http.StatusConflict), version("7", "")),
				request("get", "door", 200*ms, ms), request("update", "door", 300*ms, ms, version("8", "9"))),
			"for good":              seen(request("update", "door", 0, 100*ms, status(http.StatusUnprocessableEntity), version("7", ""))),
			"the program ended too": seen(request("update", "door", 19*time.Second, 100*ms, status(http.StatusConflict), version("7", ""))),
		},
	},
	"blind-update": {
		wrong: seen(request("update", "app", 0, ms, version("", "9"))),
		says:  "configmaps/app was updated without a resourceVersion, 1 time.",
		right: map[string]Seen{
			"with one":       seen(request("update", "app", 0, ms, version("8", "9"))),
			"it was refused": seen(request("update", "app", 0, ms, version("", ""), status(http.StatusUnprocessableEntity))),
		},
	},
	"empty-write": {
		wrong: seen(times(4, func(i int) observer.Request { return request("patch", "report", each(i, ms), ms, version("", "9")) })...),
		says:  "3 patches of configmaps/report changed nothing.",
		right: map[string]Seen{
			"each changed something": seen(times(4, func(i int) observer.Request {
				return request("patch", "report", each(i, ms), ms, version("", fmt.Sprint(i+1)))
			})...),
			"once": seen(request("update", "app", 0, ms, version("9", "9"))),
		},
	},
	"created-twice": {
		wrong: seen(request("create", "", 0, 5*ms, child("shop-a")), request("create", "", 8*ms, 5*ms, child("shop-b"))),
		says:  "2 configmaps named shop-… were created one after another, alike in owner and labels, before a watch had told of the one before.",
		right: map[string]Seen{
			"together": seen(request("create", "", 0, 5*ms, child("shop-a")), request("create", "", 2*ms, 5*ms, child("shop-b"))),
			"told of the first": seen(request("create", "", 0, 5*ms, child("shop-a")), request("create", "", 8*ms, 5*ms, child("shop-b"))).
				with(event(request("watch", "", 0, ms), 6*ms, "shop-a")),
		},
	},
}

var (
	json      = header("Content-Type", "application/json")
	streaming = query("sendInitialEvents", "true")
)

func clientGo(r *observer.Request) {
	r.UserAgent = "app/v1 (linux/amd64) kubernetes/0123456"
}
func askVersion(r *observer.Request) { r.Path, r.Resource = "/version", "" }
func group(name string) change       { return func(r *observer.Request) { r.APIGroup = name } }
func accept(s string) change         { return func(r *observer.Request) { r.Accept = s } }

// kept adds an event to each watch, soon after it began.
func kept(s Seen) Seen {
	for _, r := range s.Requests {
		s.Events = append(s.Events, event(r, r.Start.Sub(start)+10*ms, "app"))
	}
	return s
}
