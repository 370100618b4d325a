package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/lesson"
)

// bookmark asks for Bookmark events. A bookmark says: up to this resourceVersion you have been
// told everything. It says nothing else. The server sends one about once a minute. It sends the
// first one at once if you ask for the initial events: what was there when the watch began. The
// bookmark ends them. (An informer begins like this, so it needs no List.)
func (f *follow) bookmark(ctx context.Context, run *lesson.Run) error {
	w, err := f.clientset.CoreV1().ConfigMaps(f.ns).Watch(ctx, metav1.ListOptions{
		SendInitialEvents:    new(true),
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		AllowWatchBookmarks:  true,
	})
	if apierrors.IsInvalid(err) {
		run.Say("This server sends none: it is too old, or its feature WatchList is turned off.")
		f.wire.Lap()
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	run.Say("asked for the initial events (SendInitialEvents), and for bookmarks:")
	added := 0
	for {
		e, err := next(ctx, w)
		if err != nil {
			return err
		}
		cm, err := configMap(e)
		if err != nil {
			return err
		}
		if e.Type == watch.Added {
			added++
			continue
		}
		run.Say("%d × %s, then", added, watch.Added)
		run.Say("%s  resourceVersion %s, %s: %s", e.Type, cm.ResourceVersion,
			metav1.InitialEventsAnnotationKey, cm.Annotations[metav1.InitialEventsAnnotationKey])
		break
	}
	run.Wire(f.wire.Lap())
	run.Say("Keep a bookmark's resourceVersion, as you keep that of an event. Where little")
	run.Say("changes, the version of the last event becomes too old. A bookmark's is new.")
	return nil
}
