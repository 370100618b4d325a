package faults

import (
	"time"

	"client-go-lessons/internal/observer"
)

// wholeLessons survive what comes once and passes, or makes no difference to a program that takes
// client-go as it is.
var wholeLessons = []Row{
	{
		Name: "429 with Retry-After: 1, once for each verb",
		Slow: true, Faults: retryLater,
		Cases: all(survives(0)),
	},
	{
		Name: "another certificate, of the same authority",
		Slow: true,
		Cases: [4][]Case{
			{survives(0).when(NewCertificate, 3)},
			{survives(0).when(NewCertificate, 3)},
			{survives(0).when(NewCertificate, 3)},
			{survives(0).when(NewCertificate, 3)},
		},
	},
	{
		Name: "no HTTP/2, only HTTP/1.1",
		Slow: true, HTTP1: true,
		Cases: all(survives(0)),
	},
	{
		Name: "the first four watches are cut, each after 9 events",
		Slow: true, Faults: []Injection{on(firstFour(watch), observer.CutAfterEvents(9))},
		Cases: [4][]Case{
			na(noWatch),
			na("its watches of steps 2 and 5 have no second chance: see above"),
			{survives(0)},
			{survives(0)},
		},
	},
	{
		Name: "every watch is cut at once",
		Slow: true, Faults: []Injection{on(watch, observer.CutAfterEvents(0))},
		Cases: [4][]Case{
			na(noWatch),
			na("see above"),
			{survives(2)},
			{survives(5)},
		},
	},
	{
		Name: "each request takes 1 s longer",
		Slow: true, Faults: []Injection{on(anything, observer.Delay(time.Second))},
		Cases: [4][]Case{
			{fails(0, "it hung in step 3").within(15 * time.Second), survives(2)},
			{survives(0)},
			{fails(0, "it hung in step 3").within(30 * time.Second), survives(2)},
			{fails(0, "it hung while it prepared").within(10 * time.Second), survives(6)},
		},
	},
	inAll("no answer to the question for the server's version", failsWith("reach the cluster"),
		never(path("/version"))).slow(),
	inAll("no answer to the making of the namespace, which is made", failsWith("create namespace lesson-"),
		on(makeNamespace, observer.HoldAnswer(observer.NewGate()))).slow(),
	inAll("no answer to the delete of the namespace", leftBehind,
		never(removeNamespace)).slow(),
	inAll("503 to every delete of the namespace", leftBehind,
		on(removeNamespace, observer.Unavailable())).slow(),
	{
		Name: "somebody has deleted the namespace, and it is gone",
		Slow: true, Cases: inTheMiddle(NamespaceDeleted, takenAway),
	},
}

func (r Row) slow() Row { r.Slow = true; return r }

// all is the same case in each lesson.
func all(c Case) (cases [4][]Case) {
	for i := range cases {
		cases[i] = []Case{c}
	}
	return cases
}

func leftBehind(step int) Case { return fails(step, "is left behind").leaving() }

func firstFour(match observer.Match) observer.Match {
	match.From, match.To = 1, 4
	return match
}
