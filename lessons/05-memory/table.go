package main

import (
	"context"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// table puts the costs side by side.
func (m *memory) table(_ context.Context, run *lesson.Run) error {
	const many = 50_000
	rows := [][]any{{"you keep", "objects", "came", "kept", "each", "given up"}}
	for _, row := range []struct{ name, lost string }{
		{"everything", "nothing"},
		{"untyped", "Go types"},
		{"tier=backend", "the others"},
		{"without managedFields", "field owners"},
		{"without text, too", "the text"},
		{"metadata", "the data"},
	} {
		c := m.costs[row.name]
		rows = append(rows, []any{row.name, c.objects, wire.Bytes(c.sent), wire.Bytes(c.kept),
			wire.Bytes(c.each()), row.lost})
	}
	run.Table(rows...)
	all, some, names := m.costs["everything"], m.costs["without text, too"], m.costs["metadata"]
	run.Say("50,000 of these take %s; without text and managedFields %s;",
		wire.Bytes(many*all.each()), wire.Bytes(many*some.each()))
	run.Say("their metadata %s. While it syncs, a program needs more than that.",
		wire.Bytes(many*names.each()))
	return nil
}
