package e2e

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/observer"
)

// What TestInformer does with informers of its own, and what it reads the lesson's run with.

// ownInformer starts a factory of the test's own in a namespace of its own, through the observer.
// The namespace has one ConfigMap, color.
func ownInformer(t *testing.T) (*kubernetes.Clientset, string, informers.SharedInformerFactory) {
	t.Helper()
	ns, err := lab.client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-informer-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = lab.client.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{})
	})
	client := throughObserver(t)
	_, err = client.CoreV1().ConfigMaps(ns.Name).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "color"}, Data: map[string]string{"is": "blue"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return client, ns.Name, informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(ns.Name))
}

// oldIsFromTheCache updates an object and looks which old one the handler gets.
func oldIsFromTheCache(t *testing.T) {
	client, ns, factory := ownInformer(t)
	configMaps := factory.Core().V1().ConfigMaps()
	olds := make(chan any, 1)
	_, err := configMaps.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(oldObj, newObj any) {
			if cm, ok := newObj.(*corev1.ConfigMap); ok && cm.Name == "color" {
				olds <- oldObj
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer factory.Shutdown()
	defer cancel()
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		t.Fatal(err)
	}
	cached, err := configMaps.Lister().ConfigMaps(ns).Get("color")
	if err != nil {
		t.Fatal(err)
	}
	mark := lab.observer.Mark()
	draft := cached.DeepCopy()
	draft.Data["is"] = "red"
	if _, err := client.CoreV1().ConfigMaps(ns).Update(ctx, draft, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case old := <-olds:
		if old != any(cached) {
			t.Errorf("the old object is another than the one that was in the cache")
		}
	case <-ctx.Done():
		t.Fatal("no update came")
	}
	if diff := cmp.Diff(map[string]int{"update": 1}, onWire(lab.observer.Since(mark)).Requests); diff != "" {
		t.Errorf("requests (-want +observed)\n%s", diff)
	}
}

// oldAfterAMiss updates an object twice while its watch is down, and makes the informer begin anew.
func oldAfterAMiss(t *testing.T) {
	client, ns, factory := ownInformer(t)
	updates := make(chan string, 10)
	_, err := factory.Core().V1().ConfigMaps().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(oldObj, newObj any) {
			old, ok1 := oldObj.(*corev1.ConfigMap)
			cm, ok2 := newObj.(*corev1.ConfigMap)
			if ok1 && ok2 && cm.Name == "color" {
				updates <- old.Data["is"] + " → " + cm.Data["is"]
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer factory.Shutdown()
	defer cancel()
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		t.Fatal(err)
	}
	// A watch that is refused with a 500 is not resumed: the informer begins anew.
	refuse := lab.observer.Inject(observer.Match{Verb: "watch", Resource: "configmaps", Namespace: ns},
		observer.ServerError())
	defer refuse()
	mark := lab.observer.Mark()
	lab.observer.Abort(func(r observer.Request) bool { return r.Verb == "watch" && r.Namespace == ns })
	for _, color := range []string{"red", "green"} {
		_, err := client.CoreV1().ConfigMaps(ns).Update(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "color"}, Data: map[string]string{"is": color}}, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = lab.observer.Wait(ctx, mark, func(r observer.Record) bool {
		return r.Where(func(q observer.Request) bool {
			return q.Verb == "watch" && q.Namespace == ns && q.Status == http.StatusInternalServerError
		}).Count() > 0
	})
	if err != nil {
		t.Fatal(err)
	}
	refuse()
	select {
	case got := <-updates:
		if want := "blue → green"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	case <-ctx.Done():
		t.Fatal("no update came")
	}
	if len(updates) > 0 {
		t.Errorf("and then told %s: want one update", <-updates)
	}
}

// deletedBySelector takes the label off an object that an informer with a selector has.
func deletedBySelector(t *testing.T) {
	client, ns, _ := ownInformer(t)
	api := client.CoreV1().ConfigMaps(ns)
	cm, err := api.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: "door", Labels: map[string]string{"tier": "backend"}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(ns),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = "tier=backend" }))
	deleted := make(chan string, 1)
	_, err = factory.Core().V1().ConfigMaps().TypedInformer().AddTypedEventHandler(
		corev1informers.ConfigMapHandlerFuncs{
			DeleteFunc: func(cm corev1informers.DeletedConfigMap) { deleted <- cm.GetName() },
		})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer factory.Shutdown()
	defer cancel()
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		t.Fatal(err)
	}
	cm.Labels = nil
	if _, err := api.Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case name := <-deleted:
		if _, err := api.Get(ctx, "door", metav1.GetOptions{}); name != "door" || err != nil {
			t.Errorf("told that %s was deleted, and the server says of door: %v", name, err)
		}
	case <-ctx.Done():
		t.Error("not told that it no longer matches")
	}
}

// startsWhatWasAskedFor asks a factory for a second informer when it has been started.
func startsWhatWasAskedFor(t *testing.T) {
	_, ns, factory := ownInformer(t)
	first := factory.Core().V1().ConfigMaps().Informer()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer factory.Shutdown()
	defer cancel()
	mark := lab.observer.Mark()
	factory.StartWithContext(ctx)
	second := factory.Core().V1().Secrets().Informer()
	if !cache.WaitFor(ctx, "", first.HasSyncedChecker()) {
		t.Fatal("no sync")
	}
	begun := func() int {
		return lab.observer.Since(mark).Where(func(r observer.Request) bool {
			return r.Namespace == ns && r.Resource == "secrets"
		}).Count()
	}
	if n := begun(); n != 0 || second.HasSynced() {
		t.Errorf("asked for after Start: %d requests, synced %t; want none", n, second.HasSynced())
	}
	factory.StartWithContext(ctx)
	if !cache.WaitFor(ctx, "", second.HasSyncedChecker()) || begun() == 0 {
		t.Errorf("another Start: %d requests, synced %t; want it running", begun(), second.HasSynced())
	}
}

// runBlocks runs one informer by Run.
func runBlocks(t *testing.T) {
	_, _, factory := ownInformer(t)
	inf := factory.Core().V1().ConfigMaps().Informer()
	mark := lab.observer.Mark()
	stopCh, returned := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(returned)
		inf.Run(stopCh)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !cache.WaitFor(ctx, "", inf.HasSyncedChecker()) {
		t.Fatal("no sync")
	}
	select {
	case <-returned:
		t.Error("Run returned before its channel was closed")
	default:
	}
	close(stopCh)
	<-returned
	if left := watchesLeft(t, mark, 0); left != 0 {
		t.Errorf("%d watches are open after Run returned", left)
	}
}

// shutdownLeavesNothing starts and stops a factory as the lesson does, and looks for goroutines.
func shutdownLeavesNothing(t *testing.T) {
	_, _, factory := ownInformer(t) // which has opened the client's connection
	before := goleak.IgnoreCurrent()
	informer := factory.Core().V1().ConfigMaps().Informer()
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	factory.StartWithContext(ctx)
	if !cache.WaitFor(ctx, "", registration.HasSyncedChecker()) {
		t.Fatal("no sync")
	}
	if goleak.Find(before) == nil {
		t.Error("no goroutine more while it runs: this test looks at nothing")
	}
	cancel()
	factory.Shutdown()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// oneFactoryOneCache asks one factory twice and another once.
func oneFactoryOneCache(t *testing.T) {
	client, ns, factory := ownInformer(t)
	indexer := func(f informers.SharedInformerFactory) cache.Indexer {
		return f.Core().V1().ConfigMaps().Informer().GetIndexer()
	}
	if indexer(factory) != indexer(factory) {
		t.Error("one factory has two caches of one type")
	}
	other := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(ns))
	if indexer(factory) == indexer(other) {
		t.Error("two factories have one cache")
	}
	mark := lab.observer.Mark()
	ctx, cancel := context.WithCancel(t.Context())
	for _, f := range []informers.SharedInformerFactory{factory, other} {
		defer f.Shutdown()
		f.StartWithContext(ctx)
	}
	defer cancel()
	for _, f := range []informers.SharedInformerFactory{factory, other} {
		if err := f.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
			t.Fatal(err)
		}
	}
	record := lab.observer.Since(mark)
	if watches := record.Verb("watch", "configmaps"); watches.Count() != 2 || record.Opened != 0 {
		t.Errorf("want 2 WATCHes and 0 connections:\n%s", record)
	}
}

// watchesLeft waits until so many of the watches since mark are open, since the observer sees an
// end a moment after the client. It returns how many there are.
func watchesLeft(t *testing.T, mark observer.Mark, want int) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	record, _ := lab.observer.Wait(ctx, mark, func(r observer.Record) bool {
		return r.Verb("watch", "").Open().Count() == want
	})
	return record.Verb("watch", "").Open().Count()
}

// streams tells a watch that sends what there is from one that goes on from a resourceVersion.
func streams(r observer.Request) bool {
	return r.Verb == "watch" && r.Query.Get("sendInitialEvents") == "true"
}

func configMapsOf(t *testing.T, namespace string) []corev1.ConfigMap {
	t.Helper()
	list, err := lab.client.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// ours are lesson 03's own ConfigMaps: a cluster adds others.
func ours(items []corev1.ConfigMap) []corev1.ConfigMap {
	return slices.DeleteFunc(slices.Clone(items), func(cm corev1.ConfigMap) bool {
		return cm.Labels["lesson"] != "03"
	})
}

func namesOf(items []corev1.ConfigMap) (names []string) {
	for _, cm := range items {
		names = append(names, cm.Name)
	}
	return names
}

func named(t *testing.T, items []corev1.ConfigMap, name string) corev1.ConfigMap {
	t.Helper()
	for _, cm := range items {
		if cm.Name == name {
			return cm
		}
	}
	t.Fatalf("the server has no ConfigMap %s", name)
	return corev1.ConfigMap{}
}

func count(items []corev1.ConfigMap, which func(corev1.ConfigMap) bool) (n int) {
	for _, cm := range items {
		if which(cm) {
			n++
		}
	}
	return n
}

func isBackend(cm corev1.ConfigMap) bool { return cm.Labels["tier"] == "backend" }
func isAnns(cm corev1.ConfigMap) bool    { return cm.Data["owner"] == "ann" }

// sizeAgrees compares a printed size with what went by in these requests. The lesson ends them as
// soon as it has read what it wants, and the observer takes back a write that this cuts short,
// though the client had all of it: so it may have seen fewer bytes, by one write, but never more. One
// write may hold all events, which the observer has counted by then.
func sizeAgrees(t *testing.T, s step, expr string, requests ...observer.Request) {
	t.Helper()
	seen := observer.Record{Requests: requests}
	printed := s.Find(t, expr)[0]
	if printed == byteCount(seen.Bytes()) {
		return
	}
	const event = 1000 // more than any object of the lesson takes
	events := 0
	for _, n := range seen.Events() {
		events += n
	}
	size, least := printedSize(t, s, expr), float64(seen.Bytes())
	if size < least || size > max(least+event, float64(events*event)) {
		t.Errorf("printed %s, observed\n%s", printed, seen)
	}
	t.Logf("printed %s, observed\n%s", printed, seen)
}

// printedSize reads a size as lessons print it, such as "1.4 MB".
func printedSize(t *testing.T, s step, expr string) float64 {
	t.Helper()
	number, unit, _ := strings.Cut(s.Find(t, expr)[0], " ")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n * map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6}[unit]
}
