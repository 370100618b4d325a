// Package play is what the judge does in exercise 11.
package play

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"client-go-lessons/internal/judge"
	"client-go-lessons/internal/observer"
)

// Play changes the counter between the program's read and its write.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	const others = 10
	before := 100 + int(time.Now().UnixNano()%900)
	if _, err := t.Set(ctx, "counter", "count", fmt.Sprint(before)); err != nil {
		return "", err
	}
	refused := func() int {
		return t.Requests().Where(func(r observer.Request) bool {
			return judge.Writes(r) && r.Status == http.StatusConflict
		}).Count()
	}
	const many = 10 // refusals that taught the program nothing
	err := t.StaleFromFirstWrite(ctx, "write the counter", func() error {
		_, err := t.Set(ctx, "counter", "count", fmt.Sprint(before+others))
		return err
	}, func() bool { return refused() >= many })
	if err != nil {
		return "", err
	}
	count, err := t.Value(ctx, "counter", "count")
	if err != nil {
		return "", err
	}
	if n := refused(); n > 2 {
		return "", judge.NotYet("The judge added %d while your program was about to write. Your program sent %d writes, and %d were refused: "+
			"409 Conflict. It wrote the same old copy again: its cache had not heard of the change yet (injected). 1 refusal is enough.",
			others, t.Requests().Where(judge.Writes).Count(), n)
	}
	how, failed := t.End()
	switch {
	case failed:
		return "", judge.NotYet("The judge added %d while your program was about to write. Then %s.", others, how)
	case count == fmt.Sprint(before+1):
		return "", judge.NotYet("The count was %d, the judge added %d, your program 1. Now it is %s: your program wrote over what the judge had added, "+
			"and the server could not refuse it.", before, others, count)
	case count != fmt.Sprint(before+others+1):
		return "", judge.NotYet("The count was %d, the judge added %d, your program 1. Now it is %s.", before, others, count)
	}
	return fmt.Sprintf("The count was %d, the judge added %d, your program 1: %s. Your program sent %s, and %d was refused.",
		before, others, count, t.Sent(), refused()), nil
}
