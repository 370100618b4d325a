package judge

import (
	"context"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/observer"
)

// lag is how long a program must send nothing until the judge lets its cache catch up, in exercises
// 11 and 12. A program that waits for its cache gets on; one that goes on asking an old cache learns
// nothing from it, however slow the machine is.
const lag = 1500 * time.Millisecond

// staleFromFirstWrite holds the program's first write, lets meanwhile happen what the cache will
// not know until later, and lets the program run to its end, or until enough is true.
func (t *trial) staleFromFirstWrite(ctx context.Context, what string, meanwhile func() error, enough func() bool) error {
	events, write := observer.NewGate(), observer.NewGate()
	events.Open()
	t.inject(observer.Match{Verb: "watch"}, observer.HoldBody(events))
	t.inject(observer.Match{Func: writes, To: 1}, observer.HoldRequest(write))
	if err := t.start(); err != nil {
		return err
	}
	if err := t.must(ctx, what, func() bool { return t.requests().Where(writes).Count() > 0 }); err != nil {
		return err
	}
	events.Shut()
	if err := meanwhile(); err != nil {
		return err
	}
	write.Open()
	sent, quiet := 0, time.Now()
	_, err := t.until(ctx, "end", func() bool { return t.program.ended() || enough() }, func() error {
		requests := t.requests()
		busy := requests.Open().Where(func(r observer.Request) bool { return r.Verb != "watch" }).Count() > 0
		if n := requests.Count(); n != sent || busy {
			sent, quiet = n, time.Now()
		}
		if time.Since(quiet) > lag {
			events.Open()
		}
		return nil
	})
	if err == nil {
		t.program.kill() // enough may be true of one that would go on
	}
	return err
}

// conflict changes the counter between the program's read and its write.
func conflict(ctx context.Context, t *trial) (string, error) {
	const before, others = 100, 10
	refused := func() int {
		return t.requests().Where(func(r observer.Request) bool {
			return writes(r) && r.Status == http.StatusConflict
		}).Count()
	}
	const many = 10 // refusals that taught the program nothing
	err := t.staleFromFirstWrite(ctx, "write the counter", func() error {
		_, err := t.set(ctx, "counter", "count", fmt.Sprint(before+others))
		return err
	}, func() bool { return refused() >= many })
	if err != nil {
		return "", err
	}
	count, err := t.get(ctx, "counter", "count")
	if err != nil {
		return "", err
	}
	if n := refused(); n > 2 {
		return "", notYet("The judge added %d while your program was about to write. Your program sent %d writes, and %d were refused: "+
			"409 Conflict. It wrote the same old copy again: its cache had not heard of the change yet (injected). 1 refusal is enough.",
			others, t.requests().Where(writes).Count(), n)
	}
	how, panicked := t.program.end()
	failed := panicked || t.program.cmd.ProcessState.ExitCode() != 0
	switch {
	case failed:
		return "", notYet("The judge added %d while your program was about to write. Then %s.", others, how)
	case count == fmt.Sprint(before+1):
		return "", notYet("The count was %d, the judge added %d, your program 1. Now it is %s: your program wrote over what the judge had added, "+
			"and the server could not refuse it.", before, others, count)
	case count != fmt.Sprint(before+others+1):
		return "", notYet("The count was %d, the judge added %d, your program 1. Now it is %s.", before, others, count)
	}
	return fmt.Sprintf("The count was %d, the judge added %d, your program 1: %s. Your program sent %s, and %d was refused.",
		before, others, count, t.sent(), refused()), nil
}

// createdTwice counts the children in the end.
func createdTwice(ctx context.Context, t *trial) (string, error) {
	const many = 10 // writes, for one child
	err := t.staleFromFirstWrite(ctx, "create the child",
		func() error { return nil }, func() bool { return t.requests().Where(writes).Count() >= many })
	if err != nil {
		return "", err
	}
	children, err := t.cms.List(ctx, metav1.ListOptions{LabelSelector: "app=shop"})
	if err != nil {
		return "", judges(err)
	}
	how, panicked := t.program.end()
	failed := panicked || t.program.cmd.ProcessState.ExitCode() != 0
	switch n := len(children.Items); {
	case n > 1:
		return "", notYet("There are %d children, %s and %s. 1 is right. Your program sent %s: its cache had not heard of the first child yet "+
			"(injected), and your program took that for the truth.", n, children.Items[0].Name, children.Items[1].Name, t.sent())
	case failed:
		return "", notYet("There is %d child, as it should be. But %s.", n, how)
	case n == 0:
		return "", notYet("There is no child: no ConfigMap has the label app=shop.")
	}
	return fmt.Sprintf("1 child, though the cache heard of it late (injected). Your program sent %s.", t.sent()), nil
}
