package faults

import (
	"time"

	"client-go-lessons/internal/observer"
)

const readsOnly = "it writes nothing after its preparation"

// toReadOrWatch is a refusal of the first request that the lesson's subject begins with: a List in
// lesson 01, a Watch in the others.
func toReadOrWatch(name string, fault observer.Fault) Row {
	return Row{
		Name: name,
		Cases: [4][]Case{
			{fails(1, "list ConfigMaps").under(on(first(list), fault))},
			{
				fails(2, "watch ConfigMaps").under(on(first(watch), fault)),
				survives(7).under(on(first(watch), fault)),
			},
			{survives(1).under(on(first(watch), fault))},
			{survives(5).under(on(first(watch), fault))},
		},
	}
}

// inAll is a row with the same case in each lesson: faults of the preparation and of the end, which
// all lessons share. The steps are the cheapest of each.
func inAll(name string, make func(step int) Case, faults ...Injection) Row {
	row := Row{Name: name, Faults: faults}
	for i, step := range [4]int{1, 1, 1, 6} {
		row.Cases[i] = []Case{make(step)}
	}
	return row
}

func failsWith(says string) func(int) Case {
	return func(step int) Case { return fails(step, says) }
}

// retryLater asks the client to come back, once for each verb. client-go does, by itself.
var retryLater = []Injection{
	on(first(list), observer.TooManyRequests(time.Second)),
	on(first(get), observer.TooManyRequests(time.Second)),
	on(first(watch), observer.TooManyRequests(time.Second)),
	on(first(create), observer.TooManyRequests(time.Second)),
	on(first(update), observer.TooManyRequests(time.Second)),
	on(first(remove), observer.TooManyRequests(time.Second)),
}

var refusals = []Row{
	{
		Name:   "429 with Retry-After: 1, once for each verb",
		Faults: retryLater,
		Cases: [4][]Case{
			{survives(3).saying("10 LIST + 11 GET")},
			{survives(2).saying("1 LIST + 2 WATCH")},
			{survives(2).saying("1 CREATE + 2 UPDATE + 2 DELETE")},
			{survives(4)},
		},
	},
	toReadOrWatch("429 without Retry-After, once", observer.TooManyRequests(0)),
	toReadOrWatch("500, once", observer.ServerError()),
	toReadOrWatch("503, once", observer.Unavailable()),
	{
		Name:   "500 to every update",
		Faults: []Injection{on(update, observer.ServerError())},
		Cases: [4][]Case{
			na(readsOnly),
			{fails(2, "update ConfigMap door")},
			{fails(4, "update ConfigMap app")},
			{
				fails(2, "update ConfigMap item-"), fails(3, "write ConfigMap hope-"),
				fails(4, "update ConfigMap app"),
			},
		},
	},
	inAll("500 to the question for the server's version", failsWith("reach the cluster"),
		on(path("/version"), observer.ServerError())),
	inAll("503 to the making of the namespace", failsWith("create namespace lesson-"),
		on(makeNamespace, observer.Unavailable())),
	inAll("503 to the making of a ConfigMap in it", failsWith("create ConfigMap"),
		on(first(create), observer.Unavailable())),
	inAll("503 to the first delete of the namespace", survives,
		on(first(removeNamespace), observer.Unavailable())),
}

var rights = []Row{
	{
		Name:   "403 on list",
		Faults: []Injection{on(list, observer.Forbidden())},
		Cases: [4][]Case{
			{fails(1, `cannot list resource "configmaps"`)},
			{fails(1, `cannot list resource "configmaps"`)},
			{fails(7, `cannot list resource "configmaps"`)},
			{fails(5, `cannot list resource "configmaps"`)},
		},
	},
	{
		Name:   "403 on get",
		Faults: []Injection{on(get, observer.Forbidden())},
		Cases: [4][]Case{
			{fails(2, `cannot get resource "configmaps"`)},
			{fails(4, `cannot get resource "configmaps"`)},
			{fails(3, `cannot get resource "configmaps"`)},
			{fails(4, `cannot get resource "configmaps"`)},
		},
	},
	{
		Name:   "403 on watch",
		Faults: []Injection{on(watch, observer.Forbidden())},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, `cannot watch resource "configmaps"`), fails(7, `cannot watch resource "configmaps"`)},
			na(listsInstead),
			na(listsInstead),
		},
	},
	inAll("403 on create", failsWith(`cannot create resource "configmaps"`),
		on(create, observer.Forbidden())),
	{
		Name:   "403 on update",
		Faults: []Injection{on(update, observer.Forbidden())},
		Cases: [4][]Case{
			na(readsOnly),
			{fails(2, `cannot update resource "configmaps"`)},
			{fails(4, `cannot update resource "configmaps"`)},
			{fails(2, `cannot update resource "configmaps"`), fails(4, `cannot update resource "configmaps"`)},
		},
	},
	{
		Name:   "403 on delete",
		Faults: []Injection{on(remove, observer.Forbidden())},
		Cases: [4][]Case{
			na(readsOnly),
			{fails(2, `cannot delete resource "configmaps"`)},
			{fails(2, `cannot delete resource "configmaps"`)},
			na("it deletes no ConfigMap"),
		},
	},
	inAll("403 on create of namespaces", failsWith(`cannot create resource "namespaces"`),
		on(makeNamespace, observer.Forbidden())),
	inAll("403 on list of namespaces, to find those left behind", survives,
		on(listNamespaces, observer.Forbidden())),
	inAll("403 on delete of namespaces", leftBehind,
		on(removeNamespace, observer.Forbidden())),
	{
		Name: "403 on /metrics, and on list of flow schemas",
		Cases: [4][]Case{
			{
				survives(4).under(on(path("/metrics"), observer.Forbidden())).saying("may not read /metrics"),
				survives(7).under(on(flowSchemas, observer.Forbidden())).saying("may not list flow schemas"),
			},
			na("it reads neither"), na("it reads neither"), na("it reads neither"),
		},
	},
	{
		Name: "404 for the namespace, to a write",
		Cases: [4][]Case{
			na(readsOnly),
			{fails(2, "create ConfigMap fence").under(noNamespace(2)),
				// The second change is made within RetryWatcher, which would try it again for ever.
				fails(7, "update ConfigMap door").under(on(nth(2, update), observer.NamespaceNotFound()))},
			{fails(2, "create ConfigMap color").under(noNamespace(3))},
			{fails(3, "write ConfigMap hope-").under(noNamespace(4))},
		},
	},
	{
		Name:  "somebody deletes the namespace",
		Cases: inTheMiddle(NamespaceDeleting, takenAway),
	},
}

// noNamespace answers the creates of a lesson's steps as if its namespace were gone.
func noNamespace(lesson int) Injection {
	return on(afterPreparation(lesson, create), observer.NamespaceNotFound())
}

const takenAway = "was deleted while the lesson ran"

// inTheMiddle has the same happen in each lesson, once where it has used the cluster before, and
// once where it has not.
func inTheMiddle(what Act, says string) [4][]Case {
	return [4][]Case{
		{fails(3, says).when(what, 2), fails(5, says).when(what, 1)},
		{fails(2, says).when(what, 2), fails(7, says).when(what, 1)},
		{fails(2, says).when(what, 2), fails(9, says).when(what, 1)},
		{fails(4, says).when(what, 1), fails(6, says).when(what, 1)},
	}
}
