package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"client-go-lessons/internal/lesson"
)

// lags are times, in no order.
type lags []time.Duration

// p is the percentile by nearest rank: the least of the times that this share of them, in percent,
// does not exceed. The 100th is the longest.
func (l lags) p(percent float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	rank := int(math.Ceil(percent / 100 * float64(len(l))))
	return slices.Sorted(slices.Values(l))[max(rank, 1)-1]
}

// histogram counts the times on a logarithmic scale, as rows of a table.
func (l lags) histogram() [][]any {
	const width = 40 // of the longest bar
	bounds := []time.Duration{100 * time.Microsecond, 300 * time.Microsecond, time.Millisecond,
		3 * time.Millisecond, 10 * time.Millisecond, math.MaxInt64}
	counts := make([]int, len(bounds))
	for _, t := range l {
		counts[slices.IndexFunc(bounds, func(bound time.Duration) bool { return t <= bound })]++
	}
	rows := [][]any{{"stale for", "writes", ""}}
	for i, bound := range bounds {
		label := "up to " + lesson.Duration(bound)
		switch {
		case i == len(bounds)-1:
			label = "over " + lesson.Duration(bounds[i-1])
		case i > 0:
			label = lesson.Duration(bounds[i-1]) + " to " + lesson.Duration(bound)
		}
		bar := strings.Repeat("█", width*counts[i]/slices.Max(counts))
		if bar == "" && counts[i] > 0 {
			bar = "▏"
		}
		rows = append(rows, []any{label, counts[i], bar})
	}
	return rows
}

// items is how many ConfigMaps there are that nobody writes but step late.
const items = 20

func item(i int) string   { return fmt.Sprintf("item-%02d", i) }
func theirs(w int) string { return fmt.Sprintf("theirs-%d", w) } // somebody else writes these

// examples are the ConfigMaps that the lesson starts with.
func examples() []*corev1.ConfigMap {
	names := []string{"app"}
	for i := range items {
		names = append(names, item(i))
	}
	for w := range workers {
		names = append(names, theirs(w))
	}
	var all []*corev1.ConfigMap
	for _, name := range names {
		all = append(all, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Data:       map[string]string{"color": "blue"},
		})
	}
	return all
}

// somebodyElse is another writer: it changes one key of a ConfigMap.
func (d *fallback) somebodyElse(
	ctx context.Context, name, value string,
) (*corev1.ConfigMap, error) {
	cm, err := d.clientset.CoreV1().ConfigMaps(d.ns).Patch(ctx, name, types.MergePatchType,
		fmt.Appendf(nil, `{"data":{"theirs":%q}}`, value), metav1.PatchOptions{})
	if err != nil {
		return nil, fmt.Errorf("patch ConfigMap %s: %w", name, err)
	}
	return cm, nil
}
