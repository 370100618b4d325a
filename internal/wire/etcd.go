package wire

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"
)

// Etcd is what an API server asked etcd for, concerning one resource, by its own count.
type Etcd struct {
	Objects   int // reads of objects, single or whole lists
	Revisions int // questions for nothing but the current revision
}

// ReadEtcd reads the server's /metrics, where etcd_requests_total counts by operation and resource
// (k8s.io/apiserver/pkg/storage/etcd3/metrics). The counts are those of all clients of the server.
// Servers before 1.37 count a question for the current revision as a get (seen on 1.36.3); there,
// apiserver_watch_cache_consistent_read_total tells how many of the gets were such questions.
// The error satisfies apierrors.IsForbidden when the user may not read /metrics.
func ReadEtcd(ctx context.Context, client rest.Interface, resource string) (Etcd, error) {
	raw, err := client.Get().AbsPath("/metrics").Do(ctx).Raw()
	if err != nil {
		return Etcd{}, err
	}
	return parseEtcd(raw, resource)
}

func parseEtcd(metrics []byte, resource string) (e Etcd, err error) {
	lines := bufio.NewScanner(bytes.NewReader(metrics))
	lines.Buffer(nil, 1<<20)
	apart, consistent := false, 0 // revisions have an operation of their own; consistent reads
	for lines.Scan() {
		line := lines.Text()
		if !strings.Contains(line, `group=""`) || !strings.Contains(line, `resource="`+resource+`"`) {
			continue
		}
		name, _, _ := strings.Cut(line, "{")
		if name != "etcd_requests_total" && name != "apiserver_watch_cache_consistent_read_total" {
			continue
		}
		_, number, _ := strings.Cut(line, "} ")
		count, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil {
			return e, fmt.Errorf("parse %q: %w", line, err)
		}
		if name == "apiserver_watch_cache_consistent_read_total" {
			consistent += int(count)
			continue
		}
		switch _, op, _ := strings.Cut(line, `operation="`); op[:max(0, strings.IndexByte(op, '"'))] {
		case "get", "list", "listWithCount", "listOnlyKeys", "listStream":
			e.Objects += int(count)
		case "getCurrentResourceVersion":
			e.Revisions, apart = e.Revisions+int(count), true
		}
	}
	if !apart {
		e.Objects, e.Revisions = e.Objects-consistent, consistent
	}
	return e, lines.Err()
}

// Sub is what was counted since an earlier reading.
func (e Etcd) Sub(earlier Etcd) Etcd {
	return Etcd{e.Objects - earlier.Objects, e.Revisions - earlier.Revisions}
}

// Each is the count for each of n equal reads, rounded to whole numbers, which takes off the few
// requests of other clients that fall in between.
func (e Etcd) Each(n int) Etcd {
	each := func(k int) int { return int(math.Round(float64(k) / float64(n))) }
	return Etcd{each(e.Objects), each(e.Revisions)}
}
