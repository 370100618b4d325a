package faults

import "client-go-lessons/internal/observer"

var watches = []Row{
	{
		Name:   "a watch is cut after 1 event",
		Faults: []Injection{on(first(watch), observer.CutAfterEvents(1))},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, "watch ConfigMaps"), survives(7)},
			{survives(2)},
			{survives(5)},
		},
	},
	{
		Name:   "a watch ends after 1 event, without an error",
		Faults: []Injection{on(first(watch), observer.EndAfterEvents(1))},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, "the watch ended before its time"), survives(7)},
			{survives(2)},
			{survives(5)},
		},
	},
	{
		Name:   "the connection is reset after 1 event",
		Faults: []Injection{on(first(watch), observer.ResetAfterEvents(1))},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, "step 2")}, // in step 7 it may hit the answer to a write as well

			{survives(2)},
			{survives(5)},
		},
	},
	{
		Name:   "every watch is cut at once",
		Faults: []Injection{on(watch, observer.CutAfterEvents(0))},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, "watch ConfigMaps"), fails(7, "it hung in step 7").within(window)},
			{survives(1)},
			{fails(1, "it hung in step 1").within(window04)},
		},
	},
	{
		Name:   "410 in the stream after 1 event",
		Faults: []Injection{on(first(watch), observer.ExpireAfterEvents(1))},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, "too old resource version"), fails(7, "too old resource version")},
			{survives(2)},
			{survives(5)},
		},
	},
	{
		Name:   "410 is the answer to a watch",
		Faults: []Injection{on(first(watch), observer.Expired())},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, "too old resource version"), survives(7)},
			{survives(2)},
			{survives(5)},
		},
	},
	{
		Name:   "410 is the answer to every watch",
		Faults: []Injection{on(watch, observer.Expired())},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, "too old resource version"), fails(7, "it hung in step 7").within(window)},
			{fails(1, "it hung in step 1").within(window)},
			{fails(5, "it hung while it prepared").within(window04)},
		},
	},
	{
		Name:   "nothing but bookmarks comes",
		Faults: []Injection{on(watch, observer.BookmarksOnly())},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, "it hung in step 2").within(window)},
			{fails(1, "get ConfigMap app from the cache")},
			{fails(1, "read ConfigMap app from the cache")},
		},
	},
	{
		Name:   "a frame of garbage after 1 event",
		Faults: []Injection{on(first(watch), observer.GarbageAfterEvents(1))},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, "unable to decode an event"), survives(7)},
			{survives(2)},
			{survives(5)},
		},
	},
	{
		Name:   "a watch stays open and says nothing",
		Faults: []Injection{on(watch, observer.Silent())},
		Cases: [4][]Case{
			na(noWatch),
			{fails(2, "it hung in step 2").within(window)},
			{fails(1, "it hung in step 1").within(window)},
			{fails(1, "it hung while it prepared").within(window04)},
		},
	},
}
