package wire

import "testing"

func TestEtcdOfAnOlderServer(t *testing.T) {
	// Kubernetes 1.36: a question for the revision is one of the gets.
	e, err := parseEtcd([]byte(`etcd_requests_total{group="",operation="get",resource="configmaps"} 7
etcd_requests_total{group="",operation="list",resource="configmaps"} 1
etcd_requests_total{group="apps",operation="get",resource="configmaps"} 100
apiserver_watch_cache_consistent_read_total{fallback="false",group="",resource="configmaps",success="true"} 5
apiserver_watch_cache_consistent_read_total{fallback="false",group="",resource="secrets",success="true"} 50
`), "configmaps")
	if want := (Etcd{Objects: 3, Revisions: 5}); err != nil || e != want {
		t.Errorf("%+v, %v, want %+v", e, err, want)
	}
}
