package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/lesson"
)

// future is a resourceVersion that no cluster has reached.
const future = "999999999999"

// tooLarge makes the server send an Error event. A watch that the server has let in can only be
// refused inside the stream, by an event whose object is a *metav1.Status. Here the watch asks for
// a state that is yet to come, as after the cluster was restored from a backup. The server waits
// three seconds for that state.
func (f *follow) tooLarge(ctx context.Context, run *lesson.Run) error {
	run.Say("asked to begin with a state of resourceVersion %s ...", future)
	start := time.Now()
	w, err := f.clientset.CoreV1().ConfigMaps(f.ns).Watch(ctx, metav1.ListOptions{
		ResourceVersion:      future,
		SendInitialEvents:    new(true),
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		AllowWatchBookmarks:  true,
	})
	if apierrors.IsInvalid(err) {
		run.Say("This server cannot: it is too old, or its feature WatchList is turned off.")
		f.wire.Lap()
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	e, err := next(ctx, w)
	if err != nil {
		return err
	}
	if e.Type != watch.Error {
		return fmt.Errorf("a watch from %s sent %s, want %s", future, e.Type, watch.Error)
	}
	err = apierrors.FromObject(e.Object)
	wait, _ := apierrors.SuggestsClientDelay(err)
	run.Say("%s  %s, after %s; the object is a %T", e.Type, apierrors.ReasonForError(err),
		lesson.Duration(time.Since(start)), e.Object)
	run.Say("ResourceVersionTooLarge: %t, try again in %d second",
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge), wait)
	run.Wire(f.wire.Lap())
	if _, ok := e.Object.(*corev1.ConfigMap); !ok {
		run.Say("e.Object.(*corev1.ConfigMap) without ok would panic here.")
	}
	return nil
}

// tooOld meets the Error event that every watcher meets one day: the server no longer has the
// changes since your resourceVersion. It keeps them for a minute or so at least. A young server
// still has all of them, so here the answer is replaced on its way. What you do is the same: forget
// what you knew, List again, and Watch from that List.
func (f *follow) tooOld(ctx context.Context, run *lesson.Run) error {
	configMaps := f.clientset.CoreV1().ConfigMaps(f.ns)
	list, err := configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	for _, color := range []string{"pink", "brown", "purple"} {
		if err := f.paintDoor(ctx, color); err != nil {
			return err
		}
	}
	f.expire.Next(1) // injected
	w, err := configMaps.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	e, err := next(ctx, w)
	if err != nil {
		return err
	}
	err = apierrors.FromObject(e.Object)
	if e.Type != watch.Error || !apierrors.IsResourceExpired(err) {
		return fmt.Errorf("watch ConfigMaps: got %s, want 410 Expired: %w", e.Type, err)
	}
	run.Say("the door is painted pink, brown, purple. Then Watch, from before that:")
	run.Say("%s  410 %s (injected)", e.Type, apierrors.ReasonForError(err))
	run.Say("apierrors.IsResourceExpired: %t, apierrors.IsGone: %t",
		apierrors.IsResourceExpired(err), apierrors.IsGone(err))
	run.Wire(f.wire.Lap())

	list, err = configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps again: %w", err)
	}
	door, ok := byName(list)["door"]
	if !ok {
		return errors.New("ConfigMap door is gone, and nobody deleted it")
	}
	run.Say("List again: the door is %s. Watch from there:", door.Data["color"])
	w, err = configMaps.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps again: %w", err)
	}
	defer w.Stop()
	if err := f.paintDoor(ctx, "white"); err != nil {
		return err
	}
	if e, err = next(ctx, w); err != nil {
		return err
	}
	cm, err := configMap(e)
	if err != nil {
		return err
	}
	run.Say("%-8s  %s  %s", e.Type, cm.Name, cm.Data["color"])
	run.Wire(f.wire.Lap())
	run.Say("3 missed changes came as one state, the last. You never see pink")
	run.Say("and brown. (A real 410 comes when the server keeps no changes so far back.)")
	return nil
}
