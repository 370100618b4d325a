// Package play is what the judge does in exercise 12.
package play

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/judge"
)

// Play lets the cache hear late of what the program creates, and counts the children in the end.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	const many = 10 // writes, for one child
	err := t.StaleFromFirstWrite(ctx, "create the child", func() error { return nil },
		func() bool { return t.Requests().Where(judge.Writes).Count() >= many })
	if err != nil {
		return "", err
	}
	children, err := t.ConfigMaps.List(ctx, metav1.ListOptions{LabelSelector: "app=shop"})
	if err != nil {
		return "", judge.JudgesOwn(err)
	}
	how, failed := t.End()
	switch n := len(children.Items); {
	case n > 1:
		return "", judge.NotYet("There are %d children, %s and %s. 1 is right. Your program sent %s: its cache had not heard of the first child yet "+
			"(injected), and your program took that for the truth.", n, children.Items[0].Name, children.Items[1].Name, t.Sent())
	case failed:
		return "", judge.NotYet("There is %d child, as it should be. But %s.", n, how)
	case n == 0:
		return "", judge.NotYet("There is no child: no ConfigMap has the label app=shop.")
	case len(t.Lines("call 2 done")) == 0:
		return "", judge.NotYet("There is 1 child, but your program did not say that call 2 is done. A controller is called more than once.")
	}
	return fmt.Sprintf("1 child, though the cache heard of it late (injected). Your program sent %s.", t.Sent()), nil
}
