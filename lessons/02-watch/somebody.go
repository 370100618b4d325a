package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// examples are the ConfigMaps that the lesson starts with.
func examples() []*corev1.ConfigMap {
	return []*corev1.ConfigMap{painted("door", "white"), painted("wall", "gray")}
}

func painted(name, color string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Data:       map[string]string{"color": color},
	}
}

// changeWindow is what somebody else does while the technique watches.
func changeWindow(ctx context.Context, cfg *rest.Config, namespace string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	configMaps := clientset.CoreV1().ConfigMaps(namespace)
	window, err := configMaps.Create(ctx, painted("window", "blue"), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ConfigMap window: %w", err)
	}
	window.Data = painted("window", "red").Data
	if _, err = configMaps.Update(ctx, window, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update ConfigMap window: %w", err)
	}
	if err := configMaps.Delete(ctx, "window", metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete ConfigMap window: %w", err)
	}
	return nil
}

// createUpdateDelete is what somebody else does while the step about three changes watches.
func (f *follow) createUpdateDelete(ctx context.Context) error {
	configMaps := f.writer.CoreV1().ConfigMaps(f.ns)
	_, err := configMaps.Create(ctx, painted("fence", "blue"), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ConfigMap fence: %w", err)
	}
	_, err = configMaps.Update(ctx, painted("door", "red"), metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("update ConfigMap door: %w", err)
	}
	if err := configMaps.Delete(ctx, "wall", metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete ConfigMap wall: %w", err)
	}
	return nil
}

// paintDoor is what somebody else does in the other steps: one change, so one event. An update that
// changes nothing makes no event, so each step takes another color. This update carries no
// resourceVersion, so it overwrites whatever is there. Lesson 04 shows why that is mostly wrong.
func (f *follow) paintDoor(ctx context.Context, color string) error {
	configMaps := f.writer.CoreV1().ConfigMaps(f.ns)
	_, err := configMaps.Update(ctx, painted("door", color), metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("update ConfigMap door: %w", err)
	}
	return nil
}

// errEnded says that a watch ended where the lesson counted on it.
var errEnded = errors.New("the watch ended before its time: did the server restart?")

// next receives the next event about a ConfigMap of the lesson.
func next(ctx context.Context, w watch.Interface) (watch.Event, error) {
	for {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return e, errEnded
			}
			if ours(e) {
				return e, nil
			}
		case <-ctx.Done():
			return watch.Event{}, context.Cause(ctx)
		}
	}
}

// own are the names of the lesson's ConfigMaps. A cluster adds others to each namespace:
// kube-root-ca.crt, and a service mesh adds its own, at any moment.
var own = []string{"door", "fence", "gate", "wall"}

// ours tells whether an event is for the lesson: it is not about a ConfigMap that is not the
// lesson's. Bookmark and Error events have no name.
func ours(e watch.Event) bool {
	cm, ok := e.Object.(*corev1.ConfigMap)
	return !ok || cm.Name == "" || slices.Contains(own, cm.Name)
}

// configMap is the object of an event that must be about one: Added, Modified, Deleted, Bookmark.
func configMap(e watch.Event) (*corev1.ConfigMap, error) {
	if e.Type == watch.Error {
		return nil, fmt.Errorf("watch ConfigMaps: %w", apierrors.FromObject(e.Object))
	}
	cm, ok := e.Object.(*corev1.ConfigMap)
	if !ok {
		return nil, fmt.Errorf("a %s event holds a %T, not a ConfigMap", e.Type, e.Object)
	}
	return cm, nil
}

// byName keeps the ConfigMaps of the lesson.
func byName(list *corev1.ConfigMapList) map[string]*corev1.ConfigMap {
	state := map[string]*corev1.ConfigMap{}
	for i := range list.Items {
		if cm := &list.Items[i]; slices.Contains(own, cm.Name) {
			state[cm.Name] = cm
		}
	}
	return state
}

// sameVersion compares two copies of an object: each change gives it another resourceVersion.
func sameVersion(a, b *corev1.ConfigMap) bool { return a.ResourceVersion == b.ResourceVersion }
