package faults

import (
	"time"

	"client-go-lessons/internal/observer"
)

// Section is a group of rows under one heading.
type Section struct {
	Name string
	Rows []Row
}

// Sections are the table.
var Sections = []Section{
	{"Watches", watches},
	{"Refusals", refusals},
	{"Rights and the namespace", rights},
	{"Connections", connections},
	{"Time", slowness},
	{"Whole lessons, and what takes its time", wholeLessons},
}

// on makes an injection.
func on(match observer.Match, fault observer.Fault) Injection { return Injection{match, fault} }

// nth narrows a match to one occurrence, counting from 1.
func nth(n int, match observer.Match) observer.Match {
	match.From, match.To = n, n
	return match
}

func first(match observer.Match) observer.Match { return nth(1, match) }

// path matches requests that name no resource.
func path(path string) observer.Match {
	return observer.Match{Func: func(r observer.Request) bool { return r.Path == path }}
}

// The requests that faults are for.
var (
	list   = observer.Match{Verb: "list", Resource: "configmaps"}
	get    = observer.Match{Verb: "get", Resource: "configmaps", Func: notPreparation}
	watch  = observer.Match{Verb: "watch", Resource: "configmaps"}
	create = observer.Match{Verb: "create", Resource: "configmaps"}
	update = observer.Match{Verb: "update", Resource: "configmaps"}
	remove = observer.Match{Verb: "delete", Resource: "configmaps"}

	makeNamespace   = observer.Match{Verb: "create", Resource: "namespaces"}
	listNamespaces  = observer.Match{Verb: "list", Resource: "namespaces"}
	removeNamespace = observer.Match{Verb: "delete", Resource: "namespaces"}
	flowSchemas     = observer.Match{Verb: "list", Resource: "flowschemas"}
	anything        = observer.Match{}
)

// notPreparation leaves out the wait for the ConfigMap that a cluster puts into each namespace.
func notPreparation(r observer.Request) bool { return r.Name != "kube-root-ca.crt" }

// prepared is how many ConfigMaps each lesson makes before its first step.
var prepared = [4]int{3, 2, 6, 21}

// afterPreparation matches the creates of a lesson's steps; lessons count from 1.
func afterPreparation(lesson int, match observer.Match) observer.Match {
	match.From = prepared[lesson-1] + 1
	return match
}

const (
	noWatch = "it opens no watch"
	// listsInstead is for TestRights, which gives the informer the time it takes to give up.
	listsInstead = "its informer lists instead, and gives up after 5 s: see rights"
	// window is what a lesson has to hang in, where nothing else ends a wait: long enough for the
	// preparation on a busy machine. Lesson 04 has more to prepare.
	window   = 5 * time.Second
	window04 = 10 * time.Second
)
