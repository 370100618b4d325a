package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// reads is how often each kind of read is repeated: the server's metrics count what other clients
// do as well, so one read more or less must not matter.
const reads = 20

// source looks where reads are answered from. The API server keeps a copy of everything in memory,
// its watch cache, and counts in /metrics what it asks etcd for. The resourceVersion of a request
// says how old an answer may be: "" not at all, "0" as old as it happens to be.
func (d *direct) source(ctx context.Context, run *lesson.Run) error {
	configMaps := d.clientset.CoreV1().ConfigMaps(d.ns)
	get := func(rv string) error {
		_, err := configMaps.Get(ctx, "database", metav1.GetOptions{ResourceVersion: rv})
		return err
	}
	list := func(rv string) error {
		_, err := configMaps.List(ctx, metav1.ListOptions{ResourceVersion: rv})
		return err
	}

	metrics, err := kubernetes.NewForConfig(d.config) // not counted: it only looks on
	if err != nil {
		return err
	}
	before, err := wire.ReadEtcd(ctx, metrics.CoreV1().RESTClient(), "configmaps")
	if apierrors.IsForbidden(err) {
		run.Say("This user may not read /metrics, where the server counts that: skipped.")
		run.Say("(Granting it takes a ClusterRole with nonResourceURLs: [/metrics], verb get.)")
		d.wire.Lap()
		return nil
	}
	if err != nil {
		return fmt.Errorf("read /metrics: %w", err)
	}

	var costs []wire.Etcd
	table := [][]any{{fmt.Sprintf("each of %d", reads), "resourceVersion",
		"etcd reads", "how new?", "answered from"}}
	for _, read := range []struct {
		verb string
		do   func(rv string) error
		rv   string
	}{{"Get", get, ""}, {"Get", get, "0"}, {"List", list, ""}, {"List", list, "0"}} {
		for range reads {
			if err := read.do(read.rv); err != nil {
				return fmt.Errorf("%s with resourceVersion %q: %w", read.verb, read.rv, err)
			}
		}
		after, err := wire.ReadEtcd(ctx, metrics.CoreV1().RESTClient(), "configmaps")
		if err != nil {
			return fmt.Errorf("read /metrics: %w", err)
		}
		each := after.Sub(before).Each(reads)
		table = append(table, []any{read.verb, fmt.Sprintf("%q", read.rv),
			each.Objects, each.Revisions, answeredFrom(each)})
		costs = append(costs, each)
		before = after
	}
	run.Table(table...)
	run.Wire(d.wire.Lap())
	if fmt.Sprint(costs) == "[{1 0} {0 0} {0 1} {0 0}]" {
		run.Say("A Get still goes to etcd. A List is answered from memory, once etcd has been")
		run.Say("asked how new it must be: so by default since Kubernetes 1.31. Before, a List")
		run.Say("went to etcd as well.")
	} else {
		run.Say("Kubernetes 1.37 reads only the first from etcd. This is another version, or")
		run.Say("others are reading: the server counts theirs, too. Once more: -step 4")
	}
	return nil
}

func answeredFrom(each wire.Etcd) string {
	switch {
	case each.Objects > 0:
		return "etcd"
	case each.Revisions > 0:
		return "watch cache, fresh"
	default:
		return "watch cache, any age"
	}
}
