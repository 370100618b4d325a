package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corev1informers "k8s.io/client-go/informers/core/v1"

	"client-go-lessons/internal/lesson"
)

// reads compares reads from the cache with one from the server. Besides a Get by name and a List by
// label, a cache can have indexes of your own making, here one by a value inside the data: the
// server could not select by that. An index is kept up to date with the cache, and a read of the
// index looks at what it finds alone.
func (s *shared) reads(ctx context.Context, run *lesson.Run) error {
	api := s.clientset.CoreV1().ConfigMaps(s.ns)
	informer, lister := s.copy.configMaps.TypedInformer(), s.copy.configMaps.Lister()
	err := informer.AddTypedIndexers(corev1informers.ConfigMapIndexers{
		"owner": func(cm *corev1.ConfigMap) ([]string, error) {
			if cm.Data["owner"] == "" {
				return nil, nil
			}
			return []string{cm.Data["owner"]}, nil
		}})
	if err != nil {
		return fmt.Errorf("add an index: %w", err)
	}
	backend := labels.SelectorFromSet(labels.Set{"tier": "backend"})

	table := [][]any{{"read", "finds", "times", "in all", "each", "requests"}}
	var each [4]time.Duration
	requests := 0 // by the reads from the cache
	for i, read := range []struct {
		name, times string
		n           int
		do          func() (found int, err error)
	}{
		{"lister: Get by name", "10,000", 10_000, func() (int, error) {
			_, err := lister.ConfigMaps(s.ns).Get("database")
			return 1, err
		}},
		{"lister: List by label", "10,000", 10_000, func() (int, error) {
			list, err := lister.ConfigMaps(s.ns).List(backend)
			return len(list), err
		}},
		{"indexer: ByTypedIndex", "10,000", 10_000, func() (int, error) {
			list, err := informer.GetTypedIndexer().ByTypedIndex("owner", "ann")
			return len(list), err
		}},
		{"clientset: Get by name", "100", 100, func() (int, error) {
			_, err := api.Get(ctx, "database", metav1.GetOptions{})
			return 1, err
		}},
	} {
		found := 0
		begin := time.Now()
		for range read.n {
			if found, err = read.do(); err != nil {
				return fmt.Errorf("%s: %w", read.name, err)
			}
		}
		took := time.Since(begin)
		each[i] = took / time.Duration(read.n)
		lap := s.wire.Lap()
		if i < 3 {
			requests += lap.Total()
		}
		table = append(table, []any{read.name, found, read.times, lesson.Duration(took),
			lesson.Duration(each[i]), lap.Total()})
	}
	run.Table(table...)
	if s.cached = each[0]; requests == 0 && each[0] < each[3]/10 {
		run.Say("A read from the cache sends nothing, and is far faster.")
	}
	return nil
}
