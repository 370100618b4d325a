// Lesson 02 watches ConfigMaps change, with Watch and Stop, and without an informer.
//
// You learn how to go from a List to a Watch without missing or repeating a change, what each of
// the five types of event asks of you, what Stop does, and what it takes to go on when a watch ends
// or its resourceVersion is too old. You see that a watch is a long request, not a connection.
//
//	go run ./lessons/02-watch
//
// Steps 1 and 2 are in this file, 3 and 4 in stream.go, 5 in start.go, 6 and 7 in resume.go, 8 in
// bookmark.go, 9 and 10 in errors.go.
package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

func main() {
	f := &follow{}
	lesson.Main(lesson.Lesson{
		Name:  "02-watch",
		Title: "Watching changes as they happen",
		About: "Watch from a List's resourceVersion, Stop, and going on when a watch ends.",

		ConfigMaps: examples(),
		Setup:      f.connect,
		Steps: []lesson.Step{
			{Name: "list", Title: "List: the resourceVersion to start from", Run: f.list},
			{Name: "watch", Title: "Watch from there: three changes, three events",
				Claims: "N9", Run: f.watch,
				Needs: []string{"list"}},
			{Name: "connections", Title: "Does each watch make a connection?",
				Claims: "N11", Run: f.connections,
				Needs: []string{"list"}},
			{Name: "stop", Title: "Stop", Claims: "N10", Run: f.stop, Needs: []string{"list"}},
			{Name: "begin", Title: "Watch from nowhere, or from a List",
				Claims: "N9", Run: f.start},
			{Name: "resume", Title: "The server ends the watch: go on from the last event",
				Run: f.timeout},
			{Name: "retry-watcher", Title: "RetryWatcher goes on by itself", Run: f.retry},
			{Name: "bookmark", Title: "Bookmarks: how far you have come", Run: f.bookmark},
			{Name: "error-event", Title: "An Error event: read it, do not assert it",
				Run: f.tooLarge},
			{Name: "too-old", Title: "Too old: 410, so List again", Run: f.tooOld},
		},
		Sum: f.sum,
	})
}

// follow is what the steps share.
type follow struct {
	config    *rest.Config
	clientset *kubernetes.Clientset
	wire      *wire.Counter // counts what clientset does
	expire    *wire.Expiry  // answers its watches with 410 when step 10 wants it
	writer    *kubernetes.Clientset
	ns        string

	state   map[string]*corev1.ConfigMap // what is there, as far as steps 1 and 2 have been told
	version string                       // and the resourceVersion of that
}

// connect makes two clientsets. The first one lists and watches, and is counted. The other one is
// somebody else, who changes things meanwhile; what it does is not counted.
func (f *follow) connect(_ context.Context, run *lesson.Run) (err error) {
	f.config, f.ns = rest.CopyConfig(run.Config), run.Namespace
	f.config.QPS = -1                  // no client-side rate limit: lesson 01 shows what it does
	f.config.DisableCompression = true // so that the sizes that are printed are those on the wire
	if f.writer, err = kubernetes.NewForConfig(f.config); err != nil {
		return err
	}
	cfg := rest.CopyConfig(f.config)
	f.expire = wire.ExpireWatches(cfg) // none, until step 10
	f.wire = wire.Count(cfg)           // what clientset sends over the wire is counted
	f.clientset, err = kubernetes.NewForConfig(cfg)
	return err
}

// list takes stock. Its resourceVersion is the moment that the list shows: what a watch from there
// reports is exactly what came after.
func (f *follow) list(ctx context.Context, run *lesson.Run) error {
	list, err := f.clientset.CoreV1().ConfigMaps(f.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	f.state, f.version = byName(list), list.ResourceVersion
	run.Say("%s", strings.Join(slices.Sorted(maps.Keys(f.state)), ", "))
	run.Say("resourceVersion %s", f.version)
	run.Wire(f.wire.Lap())
	return nil
}

// watch follows three changes of somebody else's. A receive must look at ok, since the channel is
// closed when the watch ends, and at ctx, since nothing may happen for a long time. (The notes have
// Watch without ctx and options. It takes both, and without a resourceVersion it would start from
// no moment in particular: see step 5.)
func (f *follow) watch(ctx context.Context, run *lesson.Run) error {
	w, err := f.clientset.CoreV1().ConfigMaps(f.ns).Watch(ctx, metav1.ListOptions{
		ResourceVersion: f.version,
	})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	if err := f.createUpdateDelete(ctx); err != nil { // somebody else does
		return err
	}
	for range 3 {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return errEnded
			}
			if err := f.handle(run, e); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	list, err := f.clientset.CoreV1().ConfigMaps(f.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	run.Wire(f.wire.Lap())
	if maps.EqualFunc(f.state, byName(list), sameVersion) {
		run.Say("List + 3 events = a new List: nothing was missed, nothing came twice.")
	} else {
		run.Say("List + 3 events is not a new List: more has changed here meanwhile.")
	}
	return nil
}

// handle does what each type of event asks for, here to keep state as the server has it. The notes
// handle Added and Modified, and assert the object unchecked. That keeps what was deleted, and
// panics on the first Error event, whose object is no ConfigMap.
func (f *follow) handle(run *lesson.Run, e watch.Event) error {
	switch e.Type {
	case watch.Added, watch.Modified, watch.Deleted:
		cm, ok := e.Object.(*corev1.ConfigMap)
		if !ok {
			return fmt.Errorf("a %s event holds a %T, not a ConfigMap", e.Type, e.Object)
		}
		n, err := resourceversion.CompareResourceVersion(cm.ResourceVersion, f.version)
		if err != nil {
			return err
		}
		if n <= 0 {
			return fmt.Errorf("resourceVersion %s came after %s", cm.ResourceVersion, f.version)
		}
		color := cm.Data["color"]
		if old := f.state[cm.Name]; old != nil && e.Type == watch.Modified {
			color = old.Data["color"] + " → " + color
		}
		f.state[cm.Name], f.version = cm, cm.ResourceVersion
		if e.Type == watch.Deleted { // the object is how it was last
			delete(f.state, cm.Name)
		}
		run.Say("%-8s  %-5s  %-11s  resourceVersion %s", e.Type, cm.Name, color, cm.ResourceVersion)
	case watch.Bookmark: // sent to those who ask for it, as step 8 does
		cm, ok := e.Object.(*corev1.ConfigMap)
		if !ok {
			return fmt.Errorf("a %s event holds a %T, not a ConfigMap", e.Type, e.Object)
		}
		f.version = cm.ResourceVersion // and nothing else is set
	case watch.Error: // steps 9 and 10
		return fmt.Errorf("watch ConfigMaps: %w", apierrors.FromObject(e.Object))
	}
	return nil
}

func (f *follow) sum(run *lesson.Run) {
	run.Say("A watch is a request that goes on answering. It tells each change once, in")
	run.Say("order, if you start from a List, look at ok, go on from the last event, and")
	run.Say("List again after a 410. Use it bare to wait for one thing, as kubectl wait")
	run.Say("does. To keep up for long you would write all of that, and a cache besides.")
	run.Say("It is written: an informer is just that. go run ./lessons/03-informer")
}
