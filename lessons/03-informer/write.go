package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// What the steps write, to have something to be told of.

func create(ctx context.Context, api typedcorev1.ConfigMapInterface, cm *corev1.ConfigMap) error {
	if _, err := api.Create(ctx, cm, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create ConfigMap %s: %w", cm.Name, err)
	}
	return nil
}

func turnRedAndDelete(ctx context.Context, api typedcorev1.ConfigMapInterface, name string) error {
	red := example(name, "", map[string]string{"color": "red"})
	if _, err := api.Update(ctx, red, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update ConfigMap %s: %w", name, err)
	}
	if err := api.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete ConfigMap %s: %w", name, err)
	}
	return nil
}

// createMany makes n ConfigMaps, eight at a time, the first one alone: it opens the connection that
// the others then share.
func createMany(ctx context.Context, api typedcorev1.ConfigMapInterface, n, size int) error {
	bulk := func(i int) error {
		name, text := fmt.Sprintf("bulk-%03d", i), strings.Repeat("x", size)
		return create(ctx, api, example(name, "", map[string]string{"text": text}))
	}
	if err := bulk(0); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var last atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(last.Add(1))
				if i >= n {
					return
				}
				if err := bulk(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}
