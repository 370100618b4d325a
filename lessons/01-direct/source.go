package main

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// reads is how often each kind of read is repeated: the server's metrics count what other clients
// do as well, so one read more or less must not matter.
const reads = 20

// source looks where reads are answered from. The API server keeps a copy of the objects in memory,
// its watch cache, and counts in /metrics what it asks etcd for. The resourceVersion of a request
// says how old the answer may be: "" asks for the newest state, "0" for any state.
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
		run.Say("(It needs a ClusterRole with nonResourceURLs: [/metrics] and the verb get.)")
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
	if slices.Equal(costs, []wire.Etcd{{Objects: 1}, {}, {Revisions: 1}, {}}) {
		run.Say("A Get reads the object from etcd. For a List the server asks etcd only for")
		run.Say("the newest revision, and answers from memory. That is the default since")
		run.Say("Kubernetes 1.31. Before that, a List read from etcd as well.")
	} else {
		run.Say("Kubernetes 1.37 reads only the first from etcd. This is another version, or")
		run.Say("others read, too: the server counts all reads. Run it again: -step etcd")
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
