package faults

import "client-go-lessons/internal/observer"

func reset(match observer.Match) Injection { return on(first(match), observer.ResetAtOnce()) }
func never(match observer.Match) Injection { return on(match, observer.NeverAnswer()) }

const nobodyKnows = "certificate signed by unknown authority"

var connections = []Row{
	{
		Name:   "the connection is reset in the middle of a List",
		Faults: []Injection{on(first(list), observer.ResetAfterBytes(100))},
		Cases: [4][]Case{
			{fails(1, "list ConfigMaps")},
			{fails(1, "list ConfigMaps")},
			{survives(7)},
			{fails(5, "list ConfigMaps")},
		},
	},
	{
		Name:   "the body of a List is truncated",
		Faults: []Injection{on(first(list), observer.Truncate(100))},
		Cases: [4][]Case{
			{fails(1, "list ConfigMaps")},
			{fails(1, "list ConfigMaps")},
			{survives(7)},
			{fails(5, "list ConfigMaps")},
		},
	},
	{
		Name: "the connection is reset instead of an answer, to a read or watch, or to an update",
		Cases: [4][]Case{
			{survives(1).under(reset(list))},
			{survives(1).under(reset(list))},
			{survives(1).under(reset(watch)), fails(4, "update ConfigMap app").under(reset(update))},
			{survives(5).under(reset(get)), fails(4, "update ConfigMap app").under(reset(update))},
		},
	},
	{
		Name: "another certificate, of the same authority",
		Cases: [4][]Case{
			{survives(3).when(NewCertificate, 2).saying("Something closed the connection")},
			{survives(2).when(NewCertificate, 2)},
			{survives(2).when(NewCertificate, 2)},
			{survives(5).when(NewCertificate, 1)},
		},
	},
	{
		Name:  "another certificate, of an authority nobody knows",
		Cases: leaving(inTheMiddle(NewAuthority, nobodyKnows)),
	},
	{
		Name:  "no HTTP/2, only HTTP/1.1",
		HTTP1: true,
		Cases: [4][]Case{
			{survives(3)}, {survives(3)}, {survives(4)}, {survives(5)},
		},
	},
}

// leaving says of all cases that they leave the namespace behind.
func leaving(cases [4][]Case) [4][]Case {
	for _, some := range cases {
		for i := range some {
			some[i] = some[i].leaving()
		}
	}
	return cases
}

var slowness = []Row{
	{
		Name: "an answer that never comes",
		Cases: [4][]Case{
			{fails(1, "it hung in step 1").under(never(list)).within(window)},
			{
				fails(2, "it hung in step 2").under(never(update)).within(window),
				fails(7, "it hung in step 7").under(never(watch)).within(window),
			},
			{
				fails(1, "it hung in step 1").under(never(watch)).within(window),
				fails(7, "it hung in step 7").under(never(list)).within(window),
			},
			{
				fails(1, "it hung while it prepared").under(never(watch)).within(window04),
				fails(5, "it hung in step 5").under(never(list)).within(window04),
			},
		},
	},
	inAll("no answer to the making of a ConfigMap, before the first step", func(step int) Case {
		return fails(step, "it hung while it prepared").within(window)
	}, never(create)),
	inAll("no answer to the list of namespaces left behind", survives, never(listNamespaces)),
}
