package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/lesson"
)

// start compares two ways to begin. Without a resourceVersion the server first sends an Added for
// each object that there is, as if it were new. Between the List and the two watches somebody
// paints the door and deletes the gate. Once both are open, somebody paints the door again.
func (f *follow) start(ctx context.Context, run *lesson.Run) error {
	configMaps := f.clientset.CoreV1().ConfigMaps(f.ns)
	somebody := f.writer.CoreV1().ConfigMaps(f.ns)
	_, err := somebody.Create(ctx, painted("gate", "red"), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ConfigMap gate: %w", err)
	}
	list, err := configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	if err := f.paintDoor(ctx, "orange"); err != nil {
		return err
	}
	if err := somebody.Delete(ctx, "gate", metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete ConfigMap gate: %w", err)
	}

	fromNowhere, err := configMaps.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer fromNowhere.Stop()
	fromList, err := configMaps.Watch(ctx, metav1.ListOptions{
		ResourceVersion: list.ResourceVersion,
	})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer fromList.Stop()
	if err := f.paintDoor(ctx, "yellow"); err != nil {
		return err
	}

	run.Say("List. Then paint the door and delete the gate. Then begin two watches,")
	run.Say("and paint the door again. What each watch is told:")
	table := [][]any{{"watch from resourceVersion", watch.Added, watch.Modified, watch.Deleted}}
	var deleted []int
	for _, w := range []struct {
		from string
		watch.Interface
	}{{`""`, fromNowhere}, {"of the List", fromList}} {
		seen := map[watch.EventType]int{}
		for last := false; !last; {
			e, err := next(ctx, w) // about the lesson's own ConfigMaps
			if err != nil {
				return err
			}
			cm, err := configMap(e)
			if err != nil {
				return err
			}
			seen[e.Type]++
			last = cm.Name == "door" && cm.Data["color"] == "yellow"
		}
		table = append(table,
			[]any{w.from, seen[watch.Added], seen[watch.Modified], seen[watch.Deleted]})
		deleted = append(deleted, seen[watch.Deleted])
	}
	run.Table(table...)
	run.Wire(f.wire.Lap())
	if deleted[0] == 0 && deleted[1] == 1 {
		run.Say(`From "" the watch tells what is there. It never tells that the gate is gone.`)
	} else {
		run.Say("Something else has changed here meanwhile: the counts should say 0 and 1 DELETED.")
	}
	return nil
}
