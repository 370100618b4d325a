package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
)

// read compares reads from the cache with one from the server. Besides a Get by name and a List by
// label, a cache can have indexes of your own making, here one by a value inside the data: the
// server could not select by that. An index is kept up to date with the cache; finding something
// in it does not look at the rest.
func (s *shared) read(ctx context.Context, run *lesson.Run) error {
	api := s.clientset.CoreV1().ConfigMaps(s.ns)
	informer, lister := s.configMaps.Informer(), s.configMaps.Lister()
	err := informer.AddIndexers(cache.Indexers{"owner": func(obj any) ([]string, error) {
		cm, ok := obj.(*corev1.ConfigMap)
		if !ok || cm.Data["owner"] == "" {
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
		{"indexer: ByIndex, by owner", "10,000", 10_000, func() (int, error) {
			list, err := informer.GetIndexer().ByIndex("owner", "ann")
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
		run.Say("What the cache answers, the server never hears of.")
	}
	return nil
}

// examples are the ConfigMaps that the lesson starts with.
func examples() []*corev1.ConfigMap {
	var list []*corev1.ConfigMap
	for _, e := range []struct{ name, tier, owner string }{
		{"app", "frontend", "ann"}, {"cart", "frontend", "bob"}, {"database", "backend", "ann"},
		{"features", "frontend", "bob"}, {"queue", "backend", "eve"}, {"search", "frontend", "eve"},
	} {
		list = append(list, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: e.name, Labels: map[string]string{"tier": e.tier}},
			Data: map[string]string{"color": "blue", "owner": e.owner,
				"readme": strings.Repeat("what "+e.name+" is for; ", 20)},
		})
	}
	return list
}
