package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/lesson"
)

// list lists the ConfigMaps. The list's resourceVersion is the moment that the list shows. A watch
// from there reports exactly what came after.
func (f *follow) list(ctx context.Context, run *lesson.Run) error {
	list, err := f.clientset.CoreV1().ConfigMaps(f.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	f.state, f.version = byName(list), list.ResourceVersion
	run.Say("%s", strings.Join(slices.Sorted(maps.Keys(f.state)), ", "))
	run.Say("resourceVersion %s", f.version)
	run.Wire(f.wire.Lap())
	return nil
}

// watch follows three changes that somebody else makes. A receive must look at ok, because the
// channel is closed when the watch ends. Here it also looks at ctx: a watch may have nothing to
// tell for a long time. (The end of ctx closes the channel, too, but perhaps after an Error
// event.)
func (f *follow) watch(ctx context.Context, run *lesson.Run) error {
	w, err := f.clientset.CoreV1().ConfigMaps(f.ns).Watch(ctx, metav1.ListOptions{
		ResourceVersion: f.version,
	})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	if err := f.createUpdateDelete(ctx); err != nil { // somebody else does
		return err
	}
	for told := 0; told < 3; {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return errEnded
			}
			if !ours(e) {
				continue
			}
			if err := f.handle(run, e); err != nil {
				return err
			}
			told++
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	list, err := f.clientset.CoreV1().ConfigMaps(f.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	run.Wire(f.wire.Lap())
	if maps.EqualFunc(f.state, byName(list), sameVersion) {
		run.Say("List + 3 events = a new List: nothing was missed, nothing came twice.")
	} else {
		run.Say("List + 3 events is not a new List: more has changed here meanwhile.")
	}
	return nil
}

// handle does what each type of event asks for, here to keep state as the server has it. Without
// Deleted a program keeps what is gone. Without Error it does not learn why its watch has ended.
func (f *follow) handle(run *lesson.Run, e watch.Event) error {
	switch e.Type {
	case watch.Added, watch.Modified, watch.Deleted:
		cm, ok := e.Object.(*corev1.ConfigMap)
		if !ok {
			return fmt.Errorf("a %s event holds a %T, not a ConfigMap", e.Type, e.Object)
		}
		n, err := resourceversion.CompareResourceVersion(cm.ResourceVersion, f.version)
		if err != nil {
			return err
		}
		if n <= 0 {
			return fmt.Errorf("resourceVersion %s came after %s", cm.ResourceVersion, f.version)
		}
		color := cm.Data["color"]
		if old := f.state[cm.Name]; old != nil && e.Type == watch.Modified {
			color = old.Data["color"] + " → " + color
		}
		f.state[cm.Name], f.version = cm, cm.ResourceVersion
		if e.Type == watch.Deleted { // the object is how it was last
			delete(f.state, cm.Name)
		}
		run.Say("%-8s  %-5s  %-11s  resourceVersion %s", e.Type, cm.Name, color, cm.ResourceVersion)
	case watch.Bookmark: // comes only if you ask for bookmarks
		cm, ok := e.Object.(*corev1.ConfigMap)
		if !ok {
			return fmt.Errorf("a %s event holds a %T, not a ConfigMap", e.Type, e.Object)
		}
		f.version = cm.ResourceVersion // and nothing else is set
	case watch.Error:
		return fmt.Errorf("watch ConfigMaps: %w", apierrors.FromObject(e.Object))
	}
	return nil
}
