package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"client-go-lessons/internal/lesson"
)

// create makes sure, twice in a row, that app has a child, as controllers do that are called often.
// The second time the cache does not show the first child yet. If the child's name follows from the
// parent, the server refuses the second child; with a generated name it does not.
func (d *fallback) create(ctx context.Context, run *lesson.Run) error {
	configMaps := d.clientset.CoreV1().ConfigMaps(d.ns)
	app, err := configMaps.Get(ctx, "app", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get ConfigMap app: %w", err)
	}
	d.lag.Hold() // injected: no event comes in until it is released
	defer d.lag.Release()
	taken, err := configMaps.Create(ctx,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "app-taken"}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ConfigMap app-taken: %w", err)
	}
	d.wire.Lap() // that was preparation

	const calls = 2
	asked := fmt.Sprintf("called %d times, with", calls)
	table := [][]any{{asked, "CREATE", "AlreadyExists", "GET", "children there are"}}
	var there []int
	for _, way := range []struct {
		name   string
		ensure func() error
		label  labels.Set
	}{
		{"a generated name", func() error { return d.ensureGenerated(ctx, app) }, generated},
		{"a fixed name", func() error { return d.ensureNamed(ctx, app, "app-settings") }, named},
	} {
		for range calls {
			if err := way.ensure(); err != nil {
				return err
			}
		}
		lap := d.wire.Lap()
		selector := way.label.String()
		children, err := configMaps.List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return fmt.Errorf("list ConfigMaps: %w", err)
		}
		d.wire.Lap() // counting them is not part of it
		there = append(there, len(children.Items))
		table = append(table, []any{way.name, lap.Requests["create"], lap.Status[409],
			lap.Requests["get"], len(children.Items)})
	}
	run.Say("watch events held back (injected)")
	run.Table(table...)
	if there[0] == calls && there[1] == 1 {
		run.Say("AlreadyExists is success, if a live read shows that what exists is yours.")
	}
	switch err := d.ensureNamed(ctx, app, taken.Name); {
	case err == nil:
		return fmt.Errorf("ConfigMap %s was taken for a child of app, and is none", taken.Name)
	case !errors.Is(err, errNotOurs):
		return err
	}
	run.Say("Somebody else's ConfigMap under that name is an error: app does not own it.")

	d.lag.Release() // the next step begins with a fresh cache
	d.wire.Lap()
	return d.waiter.Wait(ctx, taken.ResourceVersion)
}

// Children are told apart by labels, which are for the lesson's own count.
var (
	generated = labels.Set{"child": "generated"}
	named     = labels.Set{"child": "named"}
)

var errNotOurs = errors.New("its name is taken by one that is not ours")

// child is a ConfigMap that parent controls: that makes it ours, and deletes it with its parent.
func child(parent *corev1.ConfigMap, label labels.Set) *corev1.ConfigMap {
	kind := corev1.SchemeGroupVersion.WithKind("ConfigMap")
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Labels:          label,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(parent, kind)},
	}}
}

// ensureGenerated makes a child unless the cache shows one. It is wrong when the cache is behind.
func (d *fallback) ensureGenerated(ctx context.Context, parent *corev1.ConfigMap) error {
	children, err := d.lister.List(generated.AsSelector())
	if err != nil || len(children) > 0 {
		return err
	}
	cm := child(parent, generated)
	cm.GenerateName = parent.Name + "-"
	_, err = d.clientset.CoreV1().ConfigMaps(d.ns).Create(ctx, cm, metav1.CreateOptions{})
	return err
}

// ensureNamed makes the child of that name unless there is one. The cache is asked first, as it
// costs nothing and is mostly right; when it is wrong, the server says so.
func (d *fallback) ensureNamed(ctx context.Context, parent *corev1.ConfigMap, name string) error {
	there, err := d.lister.Get(name)
	if apierrors.IsNotFound(err) {
		cm := child(parent, named)
		cm.Name = name
		there, err = d.clientset.CoreV1().ConfigMaps(d.ns).Create(ctx, cm, metav1.CreateOptions{})
	}
	if apierrors.IsAlreadyExists(err) {
		there, err = d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, name, metav1.GetOptions{})
	}
	if err != nil {
		return fmt.Errorf("child %s of ConfigMap %s: %w", name, parent.Name, err)
	}
	if !metav1.IsControlledBy(there, parent) {
		return fmt.Errorf("child %s of ConfigMap %s: %w", name, parent.Name, errNotOurs)
	}
	return nil
}
