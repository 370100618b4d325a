package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/retry"

	"client-go-lessons/internal/lesson"
)

// conflict changes a ConfigMap that somebody else has just changed, while the cache does not know.
// An update replaces the whole object. The server takes an update of the state that it has, and
// answers 409 Conflict to an update of any other state: nobody's change is lost, as long as the
// update carries a resourceVersion. RetryOnConflict calls a function again after a 409; what
// matters is where that function reads from. A patch names only what it changes, and an apply only
// what it owns: neither needs to read.
func (d *fallback) conflict(ctx context.Context, run *lesson.Run) error {
	tries := 0
	cacheFirst := func(ctx context.Context) (*corev1.ConfigMap, error) {
		if tries++; tries == 1 {
			return d.fromCache(ctx)
		}
		return d.fromServer(ctx)
	}
	d.lag.Hold() // injected: no event comes in until it is released
	defer d.lag.Release()
	table := [][]any{{"each try reads from", "GET", "write", "409", "time", "result", "theirs"}}
	gaveUp, lost := 0, 0
	for i, way := range []struct {
		name string
		save func() error
	}{
		{"the cache, DefaultRetry", d.update(ctx, retry.DefaultRetry, d.fromCache)},
		{"the cache, DefaultBackoff", d.update(ctx, retry.DefaultBackoff, d.fromCache)},
		{"the cache, version removed", d.update(ctx, retry.DefaultRetry, d.withoutVersion)},
		{"the server", d.update(ctx, retry.DefaultRetry, d.fromServer)},
		{"the cache, then the server", d.update(ctx, retry.DefaultRetry, cacheFirst)},
		{"nothing: a Patch", func() error { return d.patch(ctx) }},
		{"nothing: an Apply", func() error { return d.apply(ctx) }},
	} {
		theirs, err := d.somebodyElse(ctx, "app", strconv.Itoa(i))
		if err != nil {
			return err
		}
		d.wire.Lap() // that was the other writer
		start := time.Now()
		err = way.save()
		took, result := time.Since(start), "saved"
		switch {
		case apierrors.IsConflict(err):
			result = "gave up"
			gaveUp++
		case err != nil:
			return fmt.Errorf("save ConfigMap app: %w", err)
		}
		lap := d.wire.Lap()
		now, err := d.fromServer(ctx)
		if err != nil {
			return fmt.Errorf("get ConfigMap app: %w", err)
		}
		change := "kept"
		if now.Data["theirs"] != theirs.Data["theirs"] {
			change = "lost"
			lost++
		}
		table = append(table, []any{way.name, lap.Requests["get"],
			lap.Requests["update"] + lap.Requests["patch"], lap.Status[409],
			lesson.Duration(took), result, change})
	}
	run.Say("watch events held back (injected), so the cache misses what others changed")
	run.Table(table...)
	if gaveUp == 2 && lost == 1 {
		run.Say("The same old copy fails each time: after a 409, read live. Without its")
		run.Say("version it is saved, and theirs is lost: leave the version in. A Patch")
		run.Say("or an Apply of your own fields reads nothing, and loses nothing.")
	}

	d.lag.Release() // the next step begins with a fresh cache
	now, err := d.fromServer(ctx)
	if err != nil {
		return fmt.Errorf("get ConfigMap app: %w", err)
	}
	d.wire.Lap()
	return d.waiter.Wait(ctx, now.ResourceVersion)
}

type readFunc func(context.Context) (*corev1.ConfigMap, error)

func (d *fallback) fromCache(context.Context) (*corev1.ConfigMap, error) {
	return d.lister.Get("app")
}

func (d *fallback) fromServer(ctx context.Context) (*corev1.ConfigMap, error) {
	return d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, "app", metav1.GetOptions{})
}

// withoutVersion is wrong on purpose. The server overwrites a ConfigMap whatever its state, if the
// update carries no version. It refuses such an update of a custom resource, and of a Lease.
func (d *fallback) withoutVersion(ctx context.Context) (*corev1.ConfigMap, error) {
	cm, err := d.fromCache(ctx)
	if err == nil {
		cm = cm.DeepCopy()
		cm.ResourceVersion = ""
	}
	return cm, err
}

// update returns a function that changes the color, and tries again after a conflict.
func (d *fallback) update(ctx context.Context, backoff wait.Backoff, read readFunc) func() error {
	return func() error {
		return retry.RetryOnConflict(backoff, func() error {
			cm, err := read(ctx)
			if err != nil {
				return err
			}
			cm = cm.DeepCopy() // it may be the cache's
			cm.Data["color"] = "red"
			_, err = d.clientset.CoreV1().ConfigMaps(d.ns).Update(ctx, cm, metav1.UpdateOptions{})
			return err // as it is: RetryOnConflict has to recognize it
		})
	}
}

// patch sends the new color alone. The server merges it into the state that it has.
func (d *fallback) patch(ctx context.Context) error {
	_, err := d.clientset.CoreV1().ConfigMaps(d.ns).Patch(ctx, "app", types.MergePatchType,
		[]byte(`{"data":{"color":"orange"}}`), metav1.PatchOptions{})
	return err
}

// apply (server-side apply) says which fields this writer wants, under a name. Force takes them
// from whoever had them. Without Force the server answers 409 if another writer owns one of them,
// with another value.
func (d *fallback) apply(ctx context.Context) error {
	_, err := d.clientset.CoreV1().ConfigMaps(d.ns).Apply(ctx,
		applycorev1.ConfigMap("app", d.ns).WithData(map[string]string{"color": "yellow"}),
		metav1.ApplyOptions{FieldManager: "lesson-04", Force: true})
	return err
}
