package faults

import (
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"client-go-lessons/internal/observer"
)

// The requests that faults are for.
var (
	list   = observer.Match{Verb: "list", Resource: "configmaps"}
	watch  = observer.Match{Verb: "watch", Resource: "configmaps"}
	create = observer.Match{Verb: "create", Resource: "configmaps"}
	update = observer.Match{Verb: "update", Resource: "configmaps"}

	makeNamespace   = observer.Match{Verb: "create", Resource: "namespaces"}
	listNamespaces  = observer.Match{Verb: "list", Resource: "namespaces"}
	removeNamespace = observer.Match{Verb: "delete", Resource: "namespaces"}

	version = observer.Match{Func: func(r observer.Request) bool { return r.Path == "/version" }}
	// watchList is a watch that starts with a list.
	watchList = observer.Match{Verb: "watch", Resource: "configmaps",
		Func: func(r observer.Request) bool { return r.Query.Get("sendInitialEvents") == "true" }}
)

func on(match observer.Match, fault observer.Fault) Fault {
	return Fault{Injections: []Injection{{match, fault}}}
}

func nth(n int, match observer.Match) observer.Match { match.From, match.To = n, n; return match }
func first(match observer.Match) observer.Match      { return nth(1, match) }

func (f Fault) and(other Fault) Fault {
	f.Injections = append(f.Injections, other.Injections...)
	return f
}
func (f Fault) with(env string) Fault   { f.Env = env; return f }
func (f Fault) leavingNamespace() Fault { f.Left = true; return f }

// onceEach is a refusal of the first request of each verb.
func onceEach(fault observer.Fault) (f Fault) {
	for _, verb := range []string{"list", "get", "watch", "create", "update", "delete"} {
		f = f.and(on(first(observer.Match{Verb: verb, Resource: "configmaps"}), fault))
	}
	return f
}

// onceRead is a refusal of the first request that a step reads with.
func onceRead(fault observer.Fault) Fault { return on(first(watch), fault).and(on(first(list), fault)) }

// never is about requests that get no answer.
func never(match observer.Match) Fault { return on(match, observer.NeverAnswer()) }

// policy is how admission refuses, which is not for want of a right.
var policy = apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "any",
	errors.New("ValidatingAdmissionPolicy 'no-changes' denied request")).ErrStatus

const (
	// Whole, as a step, is the whole lesson.
	Whole = "whole lesson"

	strange   = "certificate signed by unknown authority"
	takenAway = "was deleted while the lesson ran"
	oldWay    = "KUBE_FEATURE_WatchListClient=false" // the remedy for lists by watch that do not end
	tooOld    = "too old resource version"
	left      = "is left behind"
)

// Section is a group of rows under one heading.
type Section struct {
	Name string
	Rows []Row
}

// Sections are the table. The cells are those of Columns: List, Watch, RetryWatcher, informer, and
// an informer with writes.
var Sections = []Section{
	{"Watches", []Row{
		{"a watch is cut after 1 event", on(first(watch), observer.CutAfterEvents(1)),
			[5]Cell{none, fails("watch ConfigMaps"), survives, survives, survives}},
		{"a watch ends after 1 event, without an error", on(first(watch), observer.EndAfterEvents(1)),
			[5]Cell{none, fails("the watch ended before its time"), survives, survives, survives}},
		{"the connection is reset after 1 event", on(first(watch), observer.ResetAfterEvents(1)),
			[5]Cell{none, fails("(watch)"), none, survives, survives}},
		{"every watch is cut at once", on(watch, observer.CutAfterEvents(0)),
			[5]Cell{none, fails("watch ConfigMaps"), hangs, survives, survives}},
		{"410 in the stream after 1 event", on(first(watch), observer.ExpireAfterEvents(1)),
			[5]Cell{none, fails(tooOld), fails(tooOld), survives, survives}},
		{"410 is the answer to a watch", on(first(watch), observer.Expired()),
			[5]Cell{none, fails(tooOld), survives, survives, survives}},
		{"410 is the answer to every watch", on(watch, observer.Expired()),
			[5]Cell{none, fails(tooOld), hangs, fails(oldWay), fails(oldWay)}},
		{"a frame of garbage after 1 event", on(first(watch), observer.GarbageAfterEvents(1)),
			[5]Cell{none, fails("unable to decode an event"), survives, survives, survives}},
		{"a watch stays open and says nothing", on(watch, observer.Silent()),
			[5]Cell{none, hangs, hangs, fails(oldWay), fails(oldWay)}},
		{"a list by watch is ended after 1 event, each time", on(watchList, observer.EndAfterEvents(1)),
			[5]Cell{none, none, none, fails(oldWay), fails(oldWay)}},
		{"the same with " + oldWay, on(watchList, observer.EndAfterEvents(1)).with(oldWay),
			[5]Cell{none, none, none, survives, survives}},
	}},
	{"Refusals", []Row{
		{"429 with Retry-After: 1, once for each verb", onceEach(observer.TooManyRequests(time.Second)),
			[5]Cell{survives, survives, survives, survives, survives}},
		{"429 without Retry-After to the first List and Watch", onceRead(observer.TooManyRequests(0)),
			[5]Cell{fails("list ConfigMaps"), fails("list ConfigMaps"), none, survives, none}},
		{"500 to the first Watch", on(first(watch), observer.ServerError()),
			[5]Cell{none, fails("watch ConfigMaps"), survives, survives, survives}},
		{"503 to the first Watch", on(first(watch), observer.Unavailable()),
			[5]Cell{none, fails("watch ConfigMaps"), survives, survives, survives}},
		{"500 to every update", on(update, observer.ServerError()),
			[5]Cell{none, fails("update ConfigMap"), none, fails("update ConfigMap"), fails("save ConfigMap").in("conflict")}},
		{"503 to the second update, between two watches", on(nth(2, update), observer.Unavailable()),
			[5]Cell{none, none, survives, none, none}},
		{"a policy refuses every update, with 403", on(update, observer.Answer("403 policy", nil, policy)),
			[5]Cell{none, fails("no-changes"), none, fails("no-changes"), fails("no-changes").in("conflict")}},
		{"503 to the making of the namespace", on(makeNamespace, observer.Unavailable()),
			[5]Cell{fails("create namespace lesson-"), none, none, none, none}},
		{"503 to the making of a ConfigMap in it", on(first(create), observer.Unavailable()),
			[5]Cell{fails("create ConfigMap"), none, none, none, none}},
		{"503 to the first delete of the namespace", on(first(removeNamespace), observer.Unavailable()),
			[5]Cell{survives, none, none, none, none}},
		{"503 to every delete of the namespace", on(removeNamespace, observer.Unavailable()).leavingNamespace(),
			[5]Cell{fails(left), none, none, none, none}},
	}},
	{"The namespace", []Row{
		{"somebody deletes the namespace", Fault{Act: NamespaceDeleting},
			[5]Cell{fails(takenAway), fails(takenAway), fails(takenAway), fails(takenAway), fails(takenAway)}},
		{"somebody has deleted it, and it is gone", Fault{Act: NamespaceDeleted},
			[5]Cell{fails(takenAway), fails(takenAway), fails(takenAway), fails(takenAway), fails(takenAway)}},
	}},
	{"Connections", []Row{
		{"reset in the middle of a List", on(first(list), observer.ResetAfterBytes(100)),
			[5]Cell{fails("list ConfigMaps"), fails("list ConfigMaps"), none, survives.in("sync"), fails("list ConfigMaps")}},
		{"the body of a List is truncated", on(first(list), observer.Truncate(100)),
			[5]Cell{fails("list ConfigMaps"), fails("list ConfigMaps"), none, survives.in("sync"), fails("list ConfigMaps")}},
		{"reset instead of the answer to a List", on(first(list), observer.ResetAtOnce()),
			[5]Cell{survives, survives, survives, survives.in("sync"), none}},
		{"reset instead of the answer to an update", on(first(update), observer.ResetAtOnce()),
			[5]Cell{none, fails("update ConfigMap"), none, fails("update ConfigMap"), fails("save ConfigMap").in("conflict")}},
		{"another certificate, of the same authority", Fault{Act: NewCertificate},
			[5]Cell{survives, survives, survives, survives, survives}},
		{"another certificate, of an authority nobody knows", Fault{Act: NewAuthority, Left: true},
			[5]Cell{fails(strange), fails(strange), fails(strange), fails(strange), fails(strange)}},
		{"no HTTP/2, only HTTP/1.1", Fault{HTTP1: true},
			[5]Cell{survives, survives, survives, survives, survives}},
	}},
	{"Time", []Row{
		{"no List and no Watch is ever answered", never(list).and(never(watch)),
			[5]Cell{hangs, hangs, hangs, hangs, hangs}},
		{"each request takes 1 s longer", on(observer.Match{}, observer.Delay(time.Second)),
			[5]Cell{survives, survives, survives, survives, none}},
		{"no answer to the question for the server's version", never(version),
			[5]Cell{fails("reach the cluster"), none, none, none, none}},
		{"no answer to the making of the namespace, which is made", on(makeNamespace, observer.HoldAnswer(observer.NewGate())),
			[5]Cell{fails("create namespace lesson-"), none, none, none, none}},
		{"no answer to the making of a ConfigMap in it", never(create),
			[5]Cell{hangs, none, none, none, none}},
		{"no answer to the list of namespaces left behind", never(listNamespaces),
			[5]Cell{survives, none, none, none, none}},
		{"no answer to the delete of the namespace", never(removeNamespace).leavingNamespace(),
			[5]Cell{fails(left), none, none, none, none}},
	}},
	{"Whole lessons", []Row{
		{"429 with Retry-After: 1, once for each verb", onceEach(observer.TooManyRequests(time.Second)),
			[5]Cell{survives.in(Whole), survives.in(Whole), none, survives.in(Whole), survives.in(Whole)}},
		{"no HTTP/2, only HTTP/1.1", Fault{HTTP1: true},
			[5]Cell{survives.in(Whole), survives.in(Whole), none, survives.in(Whole), survives.in(Whole)}},
		{"every watch is cut after 9 events, four times", Fault{Injections: []Injection{{
			observer.Match{Verb: "watch", Resource: "configmaps", From: 1, To: 4}, observer.CutAfterEvents(9)}}},
			[5]Cell{none, none, none, survives.in(Whole), survives.in(Whole)}},
	}},
}
