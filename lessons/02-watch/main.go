// Lesson 02 watches ConfigMaps change, with Watch and Stop, and without an informer.
//
// You learn how to go from a List to a Watch without missing or repeating a change, what each of
// the five types of event asks of you, what Stop does, and what it takes to go on when a watch ends
// or its resourceVersion is too old. You see that a watch is a long request, not a connection.
//
//	go run ./lessons/02-watch
//
// The technique is followChanges, below. The steps after it show what it leaves out.
package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// followChanges lists the ConfigMaps of a namespace, and prints each change after that.
func followChanges(ctx context.Context, cfg *rest.Config, namespace string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("make a clientset: %w", err)
	}
	configMaps := clientset.CoreV1().ConfigMaps(namespace)

	list, err := configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	two := int64(2)
	w, err := configMaps.Watch(ctx, metav1.ListOptions{
		ResourceVersion: list.ResourceVersion, // go on from the moment of the List
		TimeoutSeconds:  &two,                 // leave it out, and a watch lasts 30 to 60 minutes
	})
	if err != nil {
		return fmt.Errorf("watch ConfigMaps: %w", err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		switch e.Type {
		case watch.Added, watch.Modified, watch.Deleted:
			if cm, ok := e.Object.(*corev1.ConfigMap); ok {
				fmt.Println(e.Type, cm.Name)
			}
		case watch.Error: // after 410 Expired, List again
			return apierrors.FromObject(e.Object)
		}
	}
	fmt.Println("the watch has ended, as every watch does: List and Watch again")
	return nil
}

func main() {
	f := &follow{}
	fromList := []string{"list"}
	lesson.Main(lesson.Lesson{
		Name:  "02-watch",
		Title: "See changes as they happen: Watch",
		About: "Your program wants to react when something changes, and does not want to ask\n" +
			"again and again. Let the server tell it.",

		ConfigMaps: examples(),
		Technique: lesson.Technique{Name: "followChanges", File: "main.go", Run: followChanges,
			Meanwhile: changeWindow},
		Setup: f.connect,
		Steps: []lesson.Step{
			{Name: "list", Title: "Where does a watch begin?", Run: f.list},
			{Name: "watch", Title: "Three changes: what does the watch tell?", Claims: "N9",
				Run: f.watch, Needs: fromList},
			{Name: "connections", Title: "Does each watch make a connection?", Claims: "N11",
				Run: f.connections, Needs: fromList},
			{Name: "stop", Title: "What does Stop do?", Claims: "N10", Run: f.stop,
				Needs: fromList},
			{Name: "begin", Title: "What if you give no resourceVersion?", Claims: "N9",
				Run: f.start},
			{Name: "resume", Title: "The server ends the watch: how do you go on?",
				Run: f.timeout},
			{Name: "retry-watcher", Title: "RetryWatcher goes on by itself", Run: f.retry},
			{Name: "bookmark", Title: "A bookmark says how far you have come", Run: f.bookmark},
			{Name: "error-event", Title: "What is in an Error event?", Run: f.tooLarge},
			{Name: "too-old", Title: "410: what if the resourceVersion is too old?", Run: f.tooOld},
			{Name: "until", Title: "How do you wait for one thing?", Run: f.until},
			{Name: "selector", Title: "Does DELETED mean that it is deleted?", Run: f.selector},
			{Name: "left-open", Title: "What if you forget Stop?", Run: f.leftOpen},
			{Name: "silent", Title: "The network is cut: when does a watch notice?",
				Run: f.silent},
		},
		Sum: f.sum,
	})
}

// follow is what the steps share.
type follow struct {
	config    *rest.Config
	clientset *kubernetes.Clientset
	wire      *wire.Counter // counts what clientset does
	expire    *wire.Expiry  // answers the watches of clientset with 410 when a step wants it
	writer    *kubernetes.Clientset
	ns        string

	state   map[string]*corev1.ConfigMap // what is there, as far as list and watch were told
	version string                       // and the resourceVersion of that
}

// connect makes two clientsets. The first one lists and watches, and is counted. The other one is
// somebody else, who changes things meanwhile. What it does is not counted.
func (f *follow) connect(_ context.Context, run *lesson.Run) (err error) {
	f.config, f.ns = rest.CopyConfig(run.Config), run.Namespace
	f.config.QPS = -1                  // no rate limit in the client: lesson 01 shows what it does
	f.config.DisableCompression = true // so that the sizes that are printed are those on the wire
	if f.writer, err = kubernetes.NewForConfig(f.config); err != nil {
		return err
	}
	cfg := rest.CopyConfig(f.config)
	f.expire = wire.ExpireWatches(cfg) // none, until a step wants it
	f.wire = wire.Count(cfg)           // counts what clientset sends over the wire
	f.clientset, err = kubernetes.NewForConfig(cfg)
	return err
}

func (f *follow) sum(run *lesson.Run) {
	run.Say("A watch is a request that goes on answering. Begin from a List, look at ok,")
	run.Say("keep the last resourceVersion, List again after a 410, and Stop. Then you get")
	run.Say("each change once, in order. To wait for one thing, use UntilWithSync. For")
	run.Say("more, you need all this and a cache. An informer does all this for you:")
	run.Say("go run ./lessons/03-informer")
}
