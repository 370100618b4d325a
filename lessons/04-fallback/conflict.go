package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"client-go-lessons/internal/lesson"
)

// conflict changes a ConfigMap that somebody else has just changed, while the cache does not know.
// The server takes an update of the state that it has, and answers 409 Conflict to that of any
// other, so nothing is overwritten unseen: as long as the update carries a resourceVersion. Without
// one, a ConfigMap is overwritten whatever its state. RetryOnConflict calls a function again after
// a 409; what matters is where that function reads from.
func (d *fallback) conflict(ctx context.Context, run *lesson.Run) error {
	fromCache := func() (*corev1.ConfigMap, error) { return d.lister.Get("app") }
	fromServer := func() (*corev1.ConfigMap, error) {
		return d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, "app", metav1.GetOptions{})
	}
	noVersion := func() (*corev1.ConfigMap, error) {
		cm, err := fromCache()
		if err == nil {
			cm = cm.DeepCopy()
			cm.ResourceVersion = "" // wrong on purpose
		}
		return cm, err
	}
	tries := 0
	cacheFirst := func() (*corev1.ConfigMap, error) {
		if tries++; tries == 1 {
			return fromCache()
		}
		return fromServer()
	}

	d.lag.Hold() // injected: no event comes in until it is released
	defer d.lag.Release()
	theirs, err := fromServer()
	if err != nil {
		return fmt.Errorf("get ConfigMap app: %w", err)
	}
	theirs.Data["color"] = "somebody else's"
	_, err = d.clientset.CoreV1().ConfigMaps(d.ns).Update(ctx, theirs, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("update ConfigMap app: %w", err)
	}
	d.wire.Lap() // that was the other writer

	table := [][]any{{"each try reads from", "GET", "UPDATE", "409", "time", "result"}}
	var newest string
	gaveUp := 0
	for _, save := range []struct {
		from    string
		backoff wait.Backoff
		read    func() (*corev1.ConfigMap, error)
	}{
		{"the cache, DefaultRetry", retry.DefaultRetry, fromCache},
		{"the cache, DefaultBackoff", retry.DefaultBackoff, fromCache},
		{"the cache, version removed", retry.DefaultRetry, noVersion},
		{"the server", retry.DefaultRetry, fromServer},
		{"the cache, then the server", retry.DefaultRetry, cacheFirst},
		{"the cache, once caught up", retry.DefaultRetry, fromCache},
	} {
		if save.from == "the cache, once caught up" {
			d.lag.Release()
			if err := d.waiter.Wait(ctx, newest); err != nil {
				return err
			}
		}
		start := time.Now()
		written, err := d.save(ctx, save.from, save.backoff, save.read)
		took, result := time.Since(start), "saved"
		switch {
		case apierrors.IsConflict(err):
			result = "gave up: Conflict"
			gaveUp++
		case err != nil:
			return fmt.Errorf("update ConfigMap app: %w", err)
		default:
			newest = written.ResourceVersion
		}
		lap := d.wire.Lap()
		table = append(table, []any{save.from, lap.Requests["get"], lap.Requests["update"],
			lap.Status[409], lesson.Duration(took), result})
	}
	run.Say("watch events held back (injected), except for the last line")
	run.Table(table...)
	if gaveUp == 2 {
		run.Say("The same old copy fails each time. Without its version it is saved, and what")
		run.Say("somebody else wrote is gone unseen: leave it in. Start from the cache, it is")
		run.Say("mostly fresh; after a 409, read live.")
	}
	return d.waiter.Wait(ctx, newest) // the next step begins with a fresh cache
}

// save changes one key of the ConfigMap app, and tries again after a conflict.
func (d *fallback) save(ctx context.Context, value string, backoff wait.Backoff,
	read func() (*corev1.ConfigMap, error),
) (written *corev1.ConfigMap, err error) {
	err = retry.RetryOnConflict(backoff, func() error {
		cm, err := read()
		if err != nil {
			return err
		}
		cm = cm.DeepCopy() // it may be the cache's
		cm.Data["color"] = value
		written, err = d.clientset.CoreV1().ConfigMaps(d.ns).Update(ctx, cm, metav1.UpdateOptions{})
		return err // as it is: RetryOnConflict has to recognize it
	})
	return written, err
}
