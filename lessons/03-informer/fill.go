package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corev1informers "k8s.io/client-go/informers/core/v1"

	"client-go-lessons/internal/lesson"
)

// fill makes the copy that the first half of the lesson works with. A factory makes informers, one
// for each type. An informer fills a cache and keeps it up to date by a watch. A lister reads that
// cache: its List takes a selector, its Get a name. The factory starts only those informers that
// somebody has asked it for by then, with Informer(), TypedInformer() or Lister().
func (s *shared) fill(ctx context.Context, run *lesson.Run) error {
	s.copy = s.newCopy(ctx, s.clientset, 0) // in copy.go: the factory
	informer, lister := s.copy.configMaps.TypedInformer(), s.copy.configMaps.Lister()

	early, err := lister.ConfigMaps(s.ns).List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list from the cache: %w", err)
	}
	_, notFound := lister.ConfigMaps(s.ns).Get("app")
	run.Say("before the sync   List: %d ConfigMaps, and no error", len(early))
	if notFound != nil {
		run.Say("                  Get app: %v", notFound)
	}

	// Later steps add handlers to the running informer. In client-go v0.37.2, their registrations
	// are sure to tell the truth only if there was a handler from the start: the page says why.
	_, err = informer.AddTypedEventHandler(corev1informers.ConfigMapHandlerFuncs{})
	if err != nil {
		return fmt.Errorf("add a handler: %w", err)
	}
	begin := time.Now()
	if err := s.copy.start(); err != nil { // in copy.go: start and wait for the sync
		return err
	}
	run.Say("synced after      %s", lesson.Duration(time.Since(begin)))
	lap := s.wire.Lap()

	list, err := lister.ConfigMaps(s.ns).List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list from the cache: %w", err)
	}
	run.Say("after the sync    List: %s", strings.Join(names(list), ", "))
	if added := len(list) - len(names(list)); added > 0 {
		run.Say("                  and %d that the cluster adds to each namespace", added)
	}
	app, err := lister.ConfigMaps(s.ns).Get("app")
	if err != nil {
		return fmt.Errorf("get ConfigMap app from the cache: %w", err)
	}
	run.Say("                  Get app: color %s, resourceVersion %s",
		app.Data["color"], app.ResourceVersion)
	run.Wire(lap)
	if reads := s.wire.Lap(); reads.Total() == 0 {
		run.Say("The sync is that WATCH. List and Get sent nothing.")
	}
	return nil
}

// names are those of the lesson's own ConfigMaps, sorted: a cache has no order.
func names(list []*corev1.ConfigMap) (names []string) {
	for _, cm := range list {
		if ours(cm) {
			names = append(names, cm.Name)
		}
	}
	slices.Sort(names)
	return names
}

// example is a ConfigMap of the lesson's own, of no tier if that is "".
func example(name, tier string, data map[string]string) *corev1.ConfigMap {
	labels := map[string]string{"lesson": "03"}
	if tier != "" {
		labels["tier"] = tier
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Data:       data,
	}
}

// examples are the ConfigMaps that the lesson starts with.
func examples() (list []*corev1.ConfigMap) {
	for _, e := range []struct{ name, tier, owner string }{
		{"app", "frontend", "ann"}, {"cart", "frontend", "bob"}, {"database", "backend", "ann"},
		{"features", "frontend", "bob"}, {"queue", "backend", "eve"}, {"search", "frontend", "eve"},
	} {
		list = append(list, example(e.name, e.tier, map[string]string{
			"color": "blue", "owner": e.owner,
			"readme": strings.Repeat("what "+e.name+" is for; ", 20)}))
	}
	return list
}
