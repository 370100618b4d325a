package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/lesson"
)

// bookmark asks for Bookmark events. They say up to which resourceVersion you have been told all
// there is to tell, and nothing else. The server sends one about once a minute, and this one at
// once: it ends the initial events, which say what was there when the watch began. (An informer
// starts like this, so that it needs no List.)
func (f *follow) bookmark(ctx context.Context, run *lesson.Run) error {
	w, err := f.clientset.CoreV1().ConfigMaps(f.ns).Watch(ctx, metav1.ListOptions{
		SendInitialEvents:    new(true),
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		AllowWatchBookmarks:  true,
	})
	if apierrors.IsInvalid(err) {
		run.Say("This server does not: it is too old, or its feature WatchList is turned off.")
		f.wire.Lap()
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	run.Say("asked for what there is as events (SendInitialEvents), and for bookmarks:")
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
	run.Say("Keep its resourceVersion as you keep that of an event: where little changes,")
	run.Say("the last event's grows too old to go on from, a bookmark's does not.")
	return nil
}
