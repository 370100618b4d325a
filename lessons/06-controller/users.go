package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What users do, and what they see on the server.

// untilKeys waits until the child of that parent says so many keys.
func (s *shared) untilKeys(ctx context.Context, r *running, parent string, keys int) error {
	what := fmt.Sprintf("the child of %s says %d keys", parent, keys)
	return r.until(ctx, what, func() (bool, error) {
		child, err := s.configMaps.Get(ctx, parent+"-summary", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil && child.Data["keys"] == strconv.Itoa(keys), err
	})
}

// parent is a ConfigMap that wants a summary.
func parent(name string, keys ...string) *corev1.ConfigMap {
	data := map[string]string{}
	for _, key := range keys {
		data[key] = "some"
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"summary": "wanted"}},
		Data:       data,
	}
}

func (s *shared) create(ctx context.Context, cm *corev1.ConfigMap) error {
	if _, err := s.configMaps.Create(ctx, cm, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create ConfigMap %s: %w", cm.Name, err)
	}
	return nil
}

func (s *shared) remove(ctx context.Context, name string) error {
	if err := s.configMaps.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete ConfigMap %s: %w", name, err)
	}
	return nil
}

// createMany makes n parents.
func (s *shared) createMany(ctx context.Context, name string, n int) error {
	for i := range n {
		if err := s.create(ctx, parent(fmt.Sprintf("%s-%02d", name, i), "color")); err != nil {
			return err
		}
	}
	return nil
}

// children counts the children of parents whose names begin with name, on the server.
func (s *shared) children(ctx context.Context, name string) (n int, err error) {
	list, err := s.configMaps.List(ctx, metav1.ListOptions{LabelSelector: "summary=made"})
	if err != nil {
		return 0, fmt.Errorf("list the children: %w", err)
	}
	for _, child := range list.Items {
		owner := metav1.GetControllerOf(&child)
		if owner != nil && strings.HasPrefix(owner.Name, name) {
			n++
		}
	}
	return n, nil
}
