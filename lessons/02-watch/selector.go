package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/lesson"
)

// selector watches with a label selector. Somebody changes the label of an object, so that the
// selector no longer matches it. For the watch the object is gone, and it says DELETED.
func (f *follow) selector(ctx context.Context, run *lesson.Run) error {
	configMaps := f.clientset.CoreV1().ConfigMaps(f.ns)
	somebody := f.writer.CoreV1().ConfigMaps(f.ns)
	gate := painted("gate", "red")
	gate.Labels = map[string]string{"side": "front"}
	made, err := somebody.Create(ctx, gate, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ConfigMap gate: %w", err)
	}
	w, err := configMaps.Watch(ctx, metav1.ListOptions{
		LabelSelector: "side=front", ResourceVersion: made.ResourceVersion,
	})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	gate.Labels = map[string]string{"side": "back"}
	if _, err := somebody.Update(ctx, gate, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update ConfigMap gate: %w", err)
	}
	e, err := next(ctx, w)
	if err != nil {
		return err
	}
	cm, err := configMap(e)
	if err != nil {
		return err
	}
	run.Say("watch with the selector side=front; somebody relabels the gate: side=back")
	run.Say("%s  %s  side=%s (the old label)", e.Type, cm.Name, cm.Labels["side"])

	now, err := configMaps.Get(ctx, "gate", metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("get ConfigMap gate: %w", err)
	}
	run.Wire(f.wire.Lap())
	if err == nil && e.Type == watch.Deleted {
		run.Say("But Get finds it, with side=%s.", now.Labels["side"])
		run.Say("With a selector, DELETED means: it no longer matches. It may still be there.")
	}
	if err := somebody.Delete(ctx, "gate", metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete ConfigMap gate: %w", err)
	}
	return nil
}
