package main

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"client-go-lessons/internal/wire"
)

// TestBeyond checks the rows of the table in docs/beyond.md, each by a subtest of its name, on the
// wire or in the cache. It needs a cluster: e2e runs it, and says where the cluster is.
func TestBeyond(t *testing.T) {
	namespace := os.Getenv("BEYOND_NAMESPACE")
	if namespace == "" {
		t.Skip("make e2e runs this, with a cluster: TestBeyond")
	}
	ctrl.SetLogger(klog.Background())
	for _, row := range []struct {
		name  string
		check func(*testing.T, *lab)
	}{
		{"read from the cache, read live", readBoth},
		{"a first read", firstRead},
		{"a narrow cache", narrow},
		{"an index", index},
		{"a transform", transform},
		{"metadata alone", metadataAlone},
		{"untyped objects", untyped},
		{"change what you got", changeOwn},
		{"resync", resync},
		{"the rate limit", rateLimit},
		{"read your own write", ownWrite},
		{"server-side apply", apply},
	} {
		t.Run(row.name, func(t *testing.T) { row.check(t, newLab(t, namespace)) })
	}
}

// lab is a config whose wire is counted, and what a check writes with.
type lab struct {
	ns     string
	config *rest.Config
	wire   *wire.Counter
	lag    *wire.Lag
	other  client.Client // not counted
}

func newLab(t *testing.T, namespace string) *lab {
	t.Helper()
	config, err := ctrl.GetConfig()
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{ns: namespace, config: rest.CopyConfig(config)}
	l.lag = wire.DelayWatches(l.config)
	l.wire = wire.Count(l.config)
	if l.other, err = client.New(config, client.Options{}); err != nil {
		t.Fatal(err)
	}
	for name, tier := range map[string]string{"app": "frontend", "database": "backend"} {
		cm := configMap(name, l.ns)
		cm.Labels, cm.Data = map[string]string{"tier": tier}, map[string]string{"color": "blue"}
		if err := l.other.Create(t.Context(), cm); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		err := l.other.DeleteAllOf(context.Background(), &corev1.ConfigMap{},
			client.InNamespace(l.ns), client.HasLabels{"tier"})
		if err != nil {
			t.Error(err)
		}
	})
	return l
}

func configMap(name, namespace string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
}

// manager starts one, after prepare. It ends with the test.
func (l *lab) manager(t *testing.T, options ctrl.Options, prepare func(ctrl.Manager)) ctrl.Manager {
	t.Helper()
	if options.Cache.DefaultNamespaces == nil {
		options.Cache.DefaultNamespaces = map[string]cache.Config{l.ns: {}}
	}
	options.Metrics = server.Options{BindAddress: "0"}
	mgr, err := ctrl.NewManager(l.config, options)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(mgr)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the cache did not sync")
	}
	return mgr
}

func (l *lab) get(t *testing.T, r client.Reader, obj client.Object, name string) {
	t.Helper()
	err := r.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: name}, obj)
	if err != nil {
		t.Fatal(err)
	}
}

// want compares what was sent since the last call.
func (l *lab) want(t *testing.T, what string, verbs map[string]int) {
	t.Helper()
	lap := l.wire.Lap()
	for _, verb := range []string{"get", "list", "watch", "create", "update", "patch"} {
		if lap.Requests[verb] != verbs[verb] {
			t.Errorf("%s: %v, want %v", what, lap.Requests, verbs)
			return
		}
	}
}

func readBoth(t *testing.T, l *lab) {
	mgr := l.manager(t, ctrl.Options{}, nil)
	l.get(t, mgr.GetClient(), &corev1.ConfigMap{}, "app")
	l.wire.Lap()
	l.get(t, mgr.GetClient(), &corev1.ConfigMap{}, "app")
	l.want(t, "Client", nil)
	l.get(t, mgr.GetAPIReader(), &corev1.ConfigMap{}, "app")
	l.want(t, "APIReader", map[string]int{"get": 1})
}

func firstRead(t *testing.T, l *lab) {
	mgr := l.manager(t, ctrl.Options{}, nil)
	l.wire.Lap()
	l.get(t, mgr.GetClient(), &corev1.ConfigMap{}, "app")
	l.want(t, "a first Get", map[string]int{"watch": 1})

	strict := l.manager(t, ctrl.Options{Cache: cache.Options{ReaderFailOnMissingInformer: true}}, nil)
	l.wire.Lap()
	key := client.ObjectKey{Namespace: l.ns, Name: "app"}
	err := strict.GetClient().Get(t.Context(), key, &corev1.ConfigMap{})
	if missing := (*cache.ErrResourceNotCached)(nil); !errors.As(err, &missing) {
		t.Errorf("with ReaderFailOnMissingInformer: %v", err)
	}
	l.want(t, "a refused Get", nil)
}

func narrow(t *testing.T, l *lab) {
	mgr := l.manager(t, ctrl.Options{Cache: cache.Options{
		ByObject: map[client.Object]cache.ByObject{&corev1.ConfigMap{}: {
			Label: labels.SelectorFromSet(labels.Set{"tier": "backend"})}},
	}}, nil)
	l.get(t, mgr.GetClient(), &corev1.ConfigMap{}, "database")
	key := client.ObjectKey{Namespace: l.ns, Name: "app"}
	if err := mgr.GetClient().Get(t.Context(), key, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		t.Errorf("app, of another tier: %v", err)
	}
	l.get(t, mgr.GetAPIReader(), &corev1.ConfigMap{}, "app")
}

func index(t *testing.T, l *lab) {
	mgr := l.manager(t, ctrl.Options{}, func(mgr ctrl.Manager) {
		err := mgr.GetFieldIndexer().IndexField(t.Context(), &corev1.ConfigMap{}, "color",
			func(obj client.Object) []string {
				if cm, ok := obj.(*corev1.ConfigMap); ok {
					return []string{cm.Data["color"]}
				}
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
	})
	var list corev1.ConfigMapList
	blue := client.MatchingFields{"color": "blue"}
	if err := mgr.GetClient().List(t.Context(), &list, blue); err != nil || len(list.Items) != 2 {
		t.Errorf("%d blue ones, want 2: %v", len(list.Items), err)
	}
	l.wire.Lap()
	if err := mgr.GetClient().List(t.Context(), &list, blue); err != nil {
		t.Error(err)
	}
	l.want(t, "List by an index", nil)
	// The server does not know that field.
	if err := mgr.GetAPIReader().List(t.Context(), &list, blue); err == nil {
		t.Error("the server takes the index's name for a field")
	}
}

func transform(t *testing.T, l *lab) {
	mgr := l.manager(t, ctrl.Options{Cache: cache.Options{
		DefaultTransform: cache.TransformStripManagedFields()}}, nil)
	cached, live := &corev1.ConfigMap{}, &corev1.ConfigMap{}
	l.get(t, mgr.GetClient(), cached, "app")
	l.get(t, mgr.GetAPIReader(), live, "app")
	if len(cached.ManagedFields) > 0 || len(live.ManagedFields) == 0 {
		t.Errorf("%d managedFields in the cache, %d on the server",
			len(cached.ManagedFields), len(live.ManagedFields))
	}
}

func metadataAlone(t *testing.T, l *lab) {
	mgr := l.manager(t, ctrl.Options{}, nil)
	l.wire.Lap()
	part := &metav1.PartialObjectMetadata{}
	part.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	l.get(t, mgr.GetClient(), part, "app")
	l.want(t, "metadata", map[string]int{"watch": 1})
	l.get(t, mgr.GetClient(), &corev1.ConfigMap{}, "app")
	l.want(t, "then the whole object: a second cache", map[string]int{"watch": 1})
}

func untyped(t *testing.T, l *lab) {
	mgr := l.manager(t, ctrl.Options{}, nil)
	l.get(t, mgr.GetClient(), &corev1.ConfigMap{}, "app")
	l.wire.Lap()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"})
	l.get(t, mgr.GetClient(), obj, "app")
	l.want(t, "an untyped Get by the Client goes to the server", map[string]int{"get": 1})

	cached := l.manager(t, ctrl.Options{Client: client.Options{
		Cache: &client.CacheOptions{Unstructured: true}}}, nil)
	l.wire.Lap()
	l.get(t, cached.GetClient(), obj, "app")
	l.want(t, "with Unstructured: true", map[string]int{"watch": 1})
}

func changeOwn(t *testing.T, l *lab) {
	mgr := l.manager(t, ctrl.Options{}, nil)
	mine, again := &corev1.ConfigMap{}, &corev1.ConfigMap{}
	l.get(t, mgr.GetClient(), mine, "app")
	mine.Data["color"] = "red"
	l.get(t, mgr.GetClient(), again, "app")
	if again.Data["color"] != "blue" {
		t.Error("the cache gave the object itself")
	}
}

func resync(t *testing.T, l *lab) {
	repeated := make(chan struct{}, 100)
	mgr := l.manager(t, ctrl.Options{Cache: cache.Options{SyncPeriod: new(time.Second)}}, nil)
	informer, err := mgr.GetCache().GetInformer(t.Context(), &corev1.ConfigMap{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			old, ok1 := before.(*corev1.ConfigMap)
			now, ok2 := after.(*corev1.ConfigMap)
			if ok1 && ok2 && old.ResourceVersion == now.ResourceVersion {
				select {
				case repeated <- struct{}{}:
				default:
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.wire.Lap()
	<-repeated
	l.want(t, "a resync", nil)
}

func rateLimit(t *testing.T, l *lab) {
	if l.config.QPS >= 0 {
		t.Errorf("ctrl.GetConfig gives QPS %g, want a negative one: none", l.config.QPS)
	}
}

func ownWrite(t *testing.T, l *lab) {
	const late = time.Second / 2
	for _, waits := range []bool{false, true} {
		mgr := l.manager(t, ctrl.Options{Client: client.Options{
			Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &waits}}}, nil)
		cm, again := &corev1.ConfigMap{}, &corev1.ConfigMap{}
		l.get(t, mgr.GetClient(), cm, "app")
		l.lag.Set(late)
		cm.Data["round"] = time.Now().String()
		if err := mgr.GetClient().Update(t.Context(), cm); err != nil {
			t.Fatal(err)
		}
		l.wire.Lap()
		l.get(t, mgr.GetClient(), again, "app")
		if fresh := again.ResourceVersion == cm.ResourceVersion; fresh != waits {
			t.Errorf("EnableReadYourWritesConsistency %t: fresh %t", waits, fresh)
		}
		l.want(t, "reading it", nil)
		l.lag.Set(0)
	}
}

func apply(t *testing.T, l *lab) {
	c, err := client.New(l.config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.wire.Lap()
	var versions []string
	for _, color := range []string{"blue", "blue", "red"} {
		want := applycorev1.ConfigMap("applied", l.ns).WithLabels(map[string]string{"tier": "none"}).
			WithData(map[string]string{"color": color})
		if err := c.Apply(t.Context(), want, client.FieldOwner("beyond"), client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
		versions = append(versions, *want.ResourceVersion)
	}
	l.want(t, "three applies", map[string]int{"patch": 3})
	if versions[0] != versions[1] || versions[1] == versions[2] {
		t.Errorf("versions %v: want the same, then another", versions)
	}
}
