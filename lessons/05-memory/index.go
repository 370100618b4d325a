package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"

	"client-go-lessons/internal/lesson"
)

// index finds the ConfigMaps of a team in two ways: by looking at each, and by an index that the
// informer keeps up to date. An index holds names, so it costs little memory. It can be made of
// anything in the object, where a selector of the server knows labels and few fields.
func (m *memory) index(ctx context.Context, run *lesson.Run) error {
	cfg, counter := m.client()
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(m.ns))
	configMaps := factory.Core().V1().ConfigMaps()
	informer, lister := configMaps.TypedInformer(), configMaps.Lister()
	err = informer.AddTypedIndexers(corev1informers.ConfigMapIndexers{
		"team": func(cm *corev1.ConfigMap) ([]string, error) {
			return []string{cm.Data["team"]}, nil
		},
	})
	if err != nil {
		return fmt.Errorf("add an index: %w", err)
	}

	scan := func() (found int, err error) {
		all, err := lister.ConfigMaps(m.ns).List(labels.Everything())
		for _, cm := range all {
			if cm.Data["team"] == "team-17" {
				found++
			}
		}
		return found, err
	}
	byIndex := func() (int, error) {
		found, err := informer.GetTypedIndexer().ByTypedIndex("team", "team-17")
		return len(found), err
	}
	_, err = m.keep(ctx, counter, factory, informer, func() error {
		table := [][]any{{"the ConfigMaps of team-17", "found", "times", "each", "requests"}}
		var each []time.Duration
		for _, way := range []struct {
			name  string
			times int
			find  func() (int, error)
		}{{"look at all", 200, scan}, {"ByTypedIndex", 20_000, byIndex}} {
			found, begin := 0, time.Now()
			for range way.times {
				if found, err = way.find(); err != nil {
					return fmt.Errorf("%s: %w", way.name, err)
				}
			}
			each = append(each, time.Since(begin)/time.Duration(way.times))
			table = append(table, []any{way.name, found, way.times,
				lesson.Duration(each[len(each)-1]), counter.Lap().Total()})
		}
		run.Table(table...)
		if each[1]*2 < each[0] {
			run.Say("An index is %d times as fast here. The more objects, the more it saves.",
				each[0]/max(1, each[1]))
		}
		return nil
	})
	return err
}
