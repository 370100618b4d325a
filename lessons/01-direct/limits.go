package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// fairness looks at who shares the server with you. API Priority and Fairness sorts each request
// into a flow schema. The flow schema names a priority level, which has a share of the server, and
// a queue. Two headers of each answer say which they were.
func (d *direct) fairness(ctx context.Context, run *lesson.Run) error {
	_, err := d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, "app", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get ConfigMap app: %w", err)
	}
	lap := d.wire.Lap()
	run.Wire(lap)
	if lap.FlowSchema == "" {
		run.Say("This server sends no such headers: its fairness is turned off.")
		return nil
	}
	schema, level := string(lap.FlowSchema), string(lap.PriorityLevel)
	schemas, err := d.clientset.FlowcontrolV1().FlowSchemas().List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err):
		run.Say("(This user may not list flow schemas, so these are their UIDs.)")
	case err != nil:
		return fmt.Errorf("list FlowSchemas: %w", err)
	default:
		for _, s := range schemas.Items {
			if s.UID == types.UID(schema) {
				schema, level = s.Name, s.Spec.PriorityLevelConfiguration.Name
			}
		}
	}
	d.wire.Lap() // looking up the names is not part of the read
	run.Say("flow schema %s, priority level %s", schema, level)
	if level == "exempt" {
		run.Say("Exempt means that you never wait. An ordinary user would.")
	} else {
		run.Say("You wait only when that level is busy. A level that is too busy answers 429.")
	}
	return nil
}

// throttle reads twenty times with the rate limit that a clientset has by default: rest.Config.QPS
// 5, Burst 10. The client waits before it sends. The server does not know about it.
func (d *direct) throttle(ctx context.Context, run *lesson.Run) error {
	const n = 20
	var took, waited [2]time.Duration
	for i, qps := range []float32{0, -1} { // 0 is the default of 5, less than 0 is no limit
		cfg := rest.CopyConfig(d.config)
		cfg.QPS = qps
		counter := wire.Count(cfg)
		clientset, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return err
		}
		start := time.Now()
		for range n {
			_, err := clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, "app", metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("get ConfigMap app: %w", err)
			}
		}
		took[i], waited[i] = time.Since(start), counter.Lap().Throttled
	}
	bar := func(i int) string {
		return strings.Repeat("█", max(1, int(30*took[i]/max(took[0], took[1]))))
	}
	run.Say("%d Gets at QPS 5, burst 10  %-30s  %s", n, bar(0), lesson.Duration(took[0]))
	run.Say("%d Gets without a limit     %-30s  %s", n, bar(1), lesson.Duration(took[1]))
	run.Say("client-go's rate limiter held the first back for %s, the second for %s.",
		lesson.Duration(waited[0]), lesson.Duration(waited[1].Round(time.Millisecond)))
	run.Say("The server did not: rest.Config.QPS did. Watches do not count.")
	return nil
}

// refused lets the server say no. A busy server answers 429 or 5xx, and may say in Retry-After how
// long to wait. client-go asks again only if the server says that: up to ten times, each time after
// that interval. Your server is not so busy, so the answers are replaced on their way here.
func (d *direct) refused(ctx context.Context, run *lesson.Run) error {
	table := [][]any{{"answers (injected)", "requests", "time", "result"}}
	for _, no := range []struct {
		says       string
		status     int
		times      int
		retryAfter time.Duration
	}{
		{"429 Retry-After: 1, twice, then 200", http.StatusTooManyRequests, 2, time.Second},
		{"429 without Retry-After", http.StatusTooManyRequests, 1, 0},
		{"500 without Retry-After", http.StatusInternalServerError, 1, 0},
	} {
		cfg := rest.CopyConfig(d.config)
		wire.Refuse(cfg, no.status, no.times, no.retryAfter) // injected
		counter := wire.Count(cfg)
		clientset, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return err
		}
		start := time.Now()
		_, err = clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, "app", metav1.GetOptions{})
		result := "answered"
		switch {
		case apierrors.IsTooManyRequests(err):
			result = "TooManyRequests"
		case apierrors.IsInternalError(err):
			result = "InternalError"
		case err != nil:
			return fmt.Errorf("get ConfigMap app: %w", err)
		}
		took := lesson.Duration(time.Since(start))
		table = append(table, []any{no.says, counter.Lap().Requests["get"], took, result})
	}
	run.Table(table...)
	run.Say("Each wait is equally long: this is no exponential backoff. Without")
	run.Say("Retry-After client-go does not ask again. Your program has to decide.")
	return nil
}
