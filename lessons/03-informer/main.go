// Lesson 03 keeps a copy of the ConfigMaps in memory with a shared informer, and reads the copy.
//
// You learn how to make a factory, informers and listers from it, how to be told of changes, and
// how to stop. You see what it costs, one watch and the memory, and what it saves, every read.
// Look at the wire lines: most of what the steps do never gets there.
//
//	go run ./lessons/03-informer
//
// readFromCache below is the technique in one piece. Each step is in the file of its name.
package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// readFromCache keeps a copy of the ConfigMaps of a namespace, is told of changes, and reads the
// copy. Lesson 01 shows where a rest.Config comes from.
func readFromCache(ctx context.Context, cfg *rest.Config, namespace string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(namespace))
	configMaps := factory.Core().V1().ConfigMaps()
	var added atomic.Int64 // a handler runs in a goroutine of its own
	onChange := corev1informers.ConfigMapHandlerFuncs{
		AddFunc:    func(*corev1.ConfigMap) { added.Add(1) },
		UpdateFunc: func(_, cm *corev1.ConfigMap) { fmt.Println("updated", cm.Name) },
		DeleteFunc: func(gone corev1informers.DeletedConfigMap) {
			fmt.Println("deleted", gone.GetName())
		},
	}
	handler, err := configMaps.TypedInformer().AddTypedEventHandler(onChange)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer factory.Shutdown() // after cancel: it waits until the informer has ended
	defer cancel()
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}
	if !cache.WaitFor(ctx, "", handler.HasSyncedChecker()) { // the handler was told of all
		return context.Cause(ctx)
	}

	app, err := configMaps.Lister().ConfigMaps(namespace).Get("app")
	if err != nil {
		return err
	}
	fmt.Printf("app is %s; the handler was told of %d ConfigMaps\n",
		app.Data["color"], added.Load())
	return nil
}

func main() {
	s := &shared{}
	lesson.Main(lesson.Lesson{
		Name:  "03-informer",
		Title: "Read from a local copy: informers and listers",
		About: "Your program asks for the same objects again and again. Keep a copy instead,\n" +
			"and let the server send changes.",

		ConfigMaps: examples(),
		Technique: lesson.Technique{
			Name: "readFromCache", File: "main.go", Run: readFromCache, Informers: true},
		Setup: s.connect,
		Steps: []lesson.Step{
			{Name: "fill", Title: "How does the cache get filled?",
				Claims: "N12 N16 N17", Run: s.fill},
			{Name: "handlers", Title: "How are you told of changes?", Claims: "N13 N20 N21",
				Run: s.why(s.handlers), Needs: filled},
			{Name: "reads", Title: "What does a read cost?", Claims: "N18",
				Run: s.why(s.reads), Needs: filled},
			{Name: "share", Title: "Five handlers, three listers: how many watches?",
				Claims: "N19 N22", Run: s.why(s.share), Needs: filled},
			{Name: "edit", Title: "May you change what a lister gives you?",
				Run: s.why(s.edit), Needs: filled},
			{Name: "stop", Title: "How does it stop?", Claims: "N14 N15",
				Run: s.why(s.stop), Needs: filled},
			{Name: "sync", Title: "How many requests is a sync?", Run: s.sync},
			{Name: "narrow", Title: "Can the cache hold less?", Claims: "N23", Run: s.narrow},
			{Name: "resync", Title: "Does a resync ask the server?", Run: s.resync},
			{Name: "missed", Title: "What do you miss while the watch is down?", Run: s.missed},
			{Name: "second", Title: "What does a second factory cost?",
				Claims: "N28 N29", Run: s.second},
		},
		Sum:   s.sum,
		Close: s.close,
	})
}

// filled says that a step works with the copy that step fill makes.
var filled = []string{"fill"}

// shared is what the steps share.
type shared struct {
	config    *rest.Config // not counted; some steps count a copy of it by themselves
	clientset *kubernetes.Clientset
	wire      *wire.Counter
	ns        string

	copy *localCopy // of step fill

	cached time.Duration // of one read from the cache, measured in step reads
}

func (s *shared) connect(_ context.Context, run *lesson.Run) (err error) {
	s.config, s.ns = rest.CopyConfig(run.Config), run.Namespace
	s.config.QPS = -1                  // no client-side rate limit: lesson 01 shows what it does
	s.config.DisableCompression = true // so that the sizes that are printed are those on the wire
	wire.StopQuietly(s.config)         // or client-go may log a watch's end when it is stopped
	cfg := rest.CopyConfig(s.config)
	s.wire = wire.Count(cfg)
	s.clientset, err = kubernetes.NewForConfig(cfg)
	return err
}

// close stops the copy of step fill, however the lesson ends.
func (s *shared) close() {
	if s.copy != nil {
		s.copy.stop()
	}
}

func (s *shared) sum(run *lesson.Run) {
	run.Say("An informer costs one watch, which brings each object once, and memory.")
	if s.cached > 0 {
		run.Say("After that a read costs no request, and here %s.", lesson.Duration(s.cached))
	}
	run.Say("It pays when you read the same things again and again, or act on changes.")
	run.Say("Make one factory, pass it around, wait for its sync. Copy an object from the")
	run.Say("cache before you change the object. The cache is as old as the last event:")
	run.Say("how old is that, and what can you do? go run ./lessons/04-fallback")
}
