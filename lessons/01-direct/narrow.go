package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/lesson"
)

// page reads a list in pieces of two. All pages show the state of the first one: the continue token
// remembers it. A token expires after five to ten minutes, with 410 Gone. Then begin again, or let
// k8s.io/client-go/tools/pager do all this.
func (d *direct) page(ctx context.Context, run *lesson.Run) error {
	configMaps := d.clientset.CoreV1().ConfigMaps(d.ns)
	opts := metav1.ListOptions{Limit: 2}
	for n := 1; ; n++ {
		list, err := configMaps.List(ctx, opts)
		if err != nil {
			return fmt.Errorf("list page %d: %w", n, err)
		}
		left := "the last"
		if list.RemainingItemCount != nil {
			left = fmt.Sprintf("%d more to come", *list.RemainingItemCount)
		}
		run.Say("page %d: %s · %s", n, strings.Join(names(list.Items), ", "), left)
		if list.Continue == "" {
			break
		}
		opts.Continue = list.Continue
	}
	whole, err := configMaps.List(ctx, metav1.ListOptions{Limit: 2, ResourceVersion: "0"})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	run.Wire(d.wire.Lap())
	if len(whole.Items) > 2 && whole.Continue == "" {
		run.Say("With resourceVersion \"0\" the server ignores the limit of 2: it sent all %d.",
			len(whole.Items))
	}
	run.Say("Pages keep answers small. Each page is a request: use a limit such as 500.")
	return nil
}

// filter asks for less. A label is yours to choose, and a label selector can ask for any label. A
// field selector knows few fields: metadata.name and metadata.namespace here. Both times the server
// filters, not the client.
func (d *direct) filter(ctx context.Context, run *lesson.Run) error {
	table := [][]any{{"asked for", "answer", "bytes"}}
	for _, opts := range []metav1.ListOptions{
		{},
		{LabelSelector: "tier=backend"},
		{FieldSelector: "metadata.name=app"},
	} {
		list, err := d.clientset.CoreV1().ConfigMaps(d.ns).List(ctx, opts)
		if err != nil {
			return fmt.Errorf("list ConfigMaps with %v: %w", opts, err)
		}
		asked := "everything"
		if s := opts.LabelSelector + opts.FieldSelector; s != "" {
			asked = s
		}
		table = append(table,
			[]any{asked, strings.Join(names(list.Items), ", "), d.wire.Lap().Bytes})
	}
	run.Table(table...)
	run.Say("The server filters. What it leaves out does not cross the network.")
	return nil
}

func names(items []corev1.ConfigMap) (names []string) {
	for _, cm := range items {
		names = append(names, cm.Name)
	}
	return names
}

// examples are the ConfigMaps that the lesson starts with: two small ones and a larger one.
func examples() []*corev1.ConfigMap {
	features := map[string]string{}
	for i := range 24 {
		features[fmt.Sprintf("feature-%02d", i)] = "enabled for " + strings.Repeat("everyone, ", 4)
	}
	return []*corev1.ConfigMap{
		example("app", "frontend", map[string]string{"color": "blue", "greeting": "hello"}),
		example("database", "backend", map[string]string{"host": "db.example", "port": "5432"}),
		example("features", "frontend", features),
	}
}

func example(name, tier string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}},
		Data:       data,
	}
}
