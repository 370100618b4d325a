// Package play is what the judge does in exercise 15.
package play

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/judge"
)

// Play needs no bad luck: no cluster of these lessons has a type "doors".
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	if err := t.Start(); err != nil {
		return "", err
	}
	if _, err := t.Until(ctx, "end", t.Ended); err != nil {
		return "", err
	}
	how, failed := t.End()
	_, err := t.ConfigMaps.Get(ctx, "report", metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return "", judge.JudgesOwn(err)
	}
	doors := t.AllRequests().Verb("create", "doors").Count()
	switch {
	case doors > 0:
		return "", judge.NotYet("Your program tried to create a door %d times. The server has no type \"doors\", so it could only say "+
			"404 again. In the end %s.", doors, how)
	case failed:
		return "", judge.NotYet("Your program should end well, but %s.", how)
	case missing:
		return "", judge.NotYet("There is no ConfigMap \"report\": your program did not create it. It sent %s.", t.Sent())
	case len(t.Lines("no type: doors")) == 0:
		return "", judge.NotYet("The report is there. But your program did not print \"no type: doors\".")
	case len(t.Lines("no type: configmaps")) > 0:
		return "", judge.NotYet("Your program says that there is no type \"configmaps\".")
	case t.AllRequests().Count() == t.Requests().Count():
		return "", judge.NotYet("Your program says that there is no type \"doors\", and never asked the server about it.")
	}
	return fmt.Sprintf("The report is there, and your program says that there is no type \"doors\". It created no door and sent, "+
		"for the report, %s.", t.Sent()), nil
}
