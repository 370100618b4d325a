// Package play is what the judge does in exercise 14.
package play

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"client-go-lessons/internal/judge"
)

// Play takes the label off the door, and deletes others.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	fence := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: judge.Word("fence"), Labels: map[string]string{"shop": "open"},
	}}
	if err := t.Add(ctx, fence); err != nil {
		return "", err
	}
	if err := t.Start(); err != nil {
		return "", err
	}
	if err := t.Must(ctx, "fill its cache", t.Synced); err != nil {
		return "", err
	}
	off := []byte(`{"metadata":{"labels":{"shop":null}}}`)
	if _, err := t.ConfigMaps.Patch(ctx, "door", types.MergePatchType, off, metav1.PatchOptions{}); err != nil {
		return "", judge.JudgesOwn(err)
	}
	for _, name := range []string{"gate", fence.Name} {
		if err := t.Delete(ctx, name); err != nil {
			return "", err
		}
	}
	// A handler is told one thing after the other: after the fence, it knows of the door.
	gone := func(name string) bool { return slices.Contains(t.Lines("gone:"), name) }
	if err := t.Must(ctx, "say that the gate and the "+fence.Name+" are gone", func() bool {
		return gone("gate") && gone(fence.Name)
	}); err != nil {
		return "", err
	}
	if gone("door") {
		return "", judge.NotYet("The judge deleted the gate and the %s, and took the label off the door. Your program says that the door is "+
			"gone. It is on the server, and no longer matches the selector: your informer was told DELETED for all three.", fence.Name)
	}
	return fmt.Sprintf("The gate and the %s are gone, the door is not: it only lost its label. Your program sent %s.", fence.Name, t.Sent()), nil
}
