package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// notFound reads live what the cache does not have, and gets no object, each time for another
// reason. Only one reason says that there is none. To take another for it, as in
// `if err != nil { create }`, makes things twice, or deletes what somebody needs, whenever the
// server has a bad moment.
func (d *fallback) notFound(ctx context.Context, run *lesson.Run) error {
	table := [][]any{{"the server", "GET", "error", "is there none?"}}
	failed, absent := 0, 0
	for _, server := range []struct {
		does   string
		status int           // to answer with instead, if any
		within time.Duration // the deadline
	}{
		{"has none", 0, time.Minute},
		{"refuses to say (injected)", http.StatusForbidden, time.Minute},
		{"cannot say now (injected)", http.StatusGatewayTimeout, time.Minute},
		{"was given no time", 0, time.Nanosecond},
	} {
		cfg := rest.CopyConfig(d.config)
		if server.status != 0 {
			wire.Refuse(cfg, server.status, 1, 0) // injected
		}
		counter := wire.Count(cfg)
		clientset, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, server.within)
		_, err = clientset.CoreV1().ConfigMaps(d.ns).Get(limited, "nothing", metav1.GetOptions{})
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}

		kind, none := "", "not known"
		switch {
		case apierrors.IsNotFound(err):
			kind, none = "NotFound", "yes: create it"
			absent++
		case apierrors.IsForbidden(err):
			kind = "Forbidden"
		case apierrors.IsTimeout(err):
			kind = "Timeout"
		case errors.Is(err, context.DeadlineExceeded):
			kind = "context.DeadlineExceeded"
		default:
			return fmt.Errorf("get ConfigMap nothing, where the server %s: %w", server.does, err)
		}
		failed++
		gets := counter.Lap().Requests["get"]
		table = append(table, []any{server.does, gets, kind, none})
	}
	run.Table(table...)
	run.Say("if err != nil { create }   would create %d times; right: %d.",
		failed, absent)
	run.Say("So: if apierrors.IsNotFound(err) { create }, and hand every other error on.")
	return nil
}
