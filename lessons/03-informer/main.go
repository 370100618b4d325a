// Lesson 03 keeps a copy of the ConfigMaps in memory with a shared informer, and reads the copy.
//
// You learn how to make a factory, informers and listers from it, how to be told of changes, and
// how to stop. You see what it costs, one watch and the memory, and what it saves, every read.
// Look at the wire lines: most of what the steps do never gets there.
//
//	go run ./lessons/03-informer
//
// Step 1 is in this file, the others are in handle.go, read.go, share.go (4 and 5), stop.go,
// sync.go, narrow.go, resync.go, missed.go and second.go. refused.go is for users without rights.
package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

func main() {
	s := &shared{}
	lesson.Main(lesson.Lesson{
		Name:  "03-informer",
		Title: "Reading from a copy that keeps itself up to date",
		About: "Shared informers and listers: what they cost, what they save, how to stop them.",

		ConfigMaps: examples(),
		Setup:      s.connect,
		Steps: []lesson.Step{
			{Name: "start", Title: "A factory, an informer, a lister",
				Claims: "N12 N16 N17", Run: s.start},
			{Name: "handlers", Title: "Handlers are told what changes", Claims: "N13 N20 N21",
				Run: s.why(s.handle), Needs: first},
			{Name: "read", Title: "Read ten thousand times",
				Claims: "N18", Run: s.why(s.read), Needs: first},
			{Name: "share", Title: "Five handlers, three listers: how many watches?",
				Claims: "N19 N22",
				Run:    s.why(s.share), Needs: first},
			{Name: "edit", Title: "What all share, nobody may change",
				Run: s.why(s.edit), Needs: first},
			{Name: "stop", Title: "Stop", Claims: "N14 N15", Run: s.why(s.stop), Needs: first},
			{Name: "sync", Title: "The sync on the wire, now and before", Run: s.sync},
			{Name: "narrow", Title: "Watch only what you need", Claims: "N23", Run: s.narrow},
			{Name: "resync", Title: "A resync is no relist", Run: s.resync},
			{Name: "missed", Title: "Deleted while nobody was watching", Run: s.missed},
			{Name: "second-factory", Title: "A second factory", Claims: "N28 N29", Run: s.second},
		},
		Sum:   s.sum,
		Close: s.close,
	})
}

// first says that a step works with what step 1 started.
var first = []string{"start"}

// shared is what the steps share.
type shared struct {
	config    *rest.Config // not counted; some steps count a copy of it by themselves
	clientset *kubernetes.Clientset
	wire      *wire.Counter
	ns        string

	factory    informers.SharedInformerFactory // from here on, of step 1
	configMaps corev1informers.ConfigMapInformer
	running    context.Context // as long as its informer runs
	cancel     context.CancelCauseFunc

	cached time.Duration // of one read from the cache, measured in step 3
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

// start makes what the first half of the lesson works with. A factory makes informers, one for each
// type. An informer fills a cache and keeps it up to date by a watch. A lister reads that cache:
// its List takes a selector, its Get a name. The factory starts only those informers that somebody
// has asked it for by then, with Informer() or Lister().
func (s *shared) start(ctx context.Context, run *lesson.Run) error {
	s.factory = informers.NewSharedInformerFactoryWithOptions(s.clientset, 0,
		informers.WithNamespace(s.ns))
	s.configMaps = s.factory.Core().V1().ConfigMaps()
	informer, lister := s.configMaps.Informer(), s.configMaps.Lister()

	early, err := lister.ConfigMaps(s.ns).List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list from the cache: %w", err)
	}
	run.Say("List before the sync: %d ConfigMaps, and no error to warn you", len(early))

	s.running, s.cancel = context.WithCancelCause(ctx)
	if err := informer.SetWatchErrorHandlerWithContext(giveUp(s.cancel)); err != nil {
		return err
	}
	// Steps 2 and 4 add handlers late. With one there from the start, their registrations tell the
	// truth in client-go v0.37.2, too: the page says why.
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{}); err != nil {
		return fmt.Errorf("add a handler: %w", err)
	}
	begin := time.Now()
	s.factory.StartWithContext(s.running) // returns at once, as Start(stopCh) does
	if err := s.factory.WaitForCacheSyncWithContext(s.running).AsError(); err != nil {
		return err
	}
	run.Say("synced after %s", lesson.Duration(time.Since(begin)))
	lap := s.wire.Lap()

	list, err := lister.ConfigMaps(s.ns).List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list from the cache: %w", err)
	}
	run.Say("List after it: %s", strings.Join(names(list), ", "))
	cm, err := lister.ConfigMaps(s.ns).Get("app")
	if err != nil {
		return fmt.Errorf("get ConfigMap app from the cache: %w", err)
	}
	run.Say("Get app: color %s, resourceVersion %s", cm.Data["color"], cm.ResourceVersion)
	run.Wire(lap)
	if reads := s.wire.Lap(); reads.Total() == 0 {
		run.Say("The sync did that. List and Get asked nobody.")
	}
	return nil
}

// close stops the informer of step 1, however the lesson ends.
func (s *shared) close() {
	if s.factory != nil {
		if s.cancel != nil {
			s.cancel(nil)
		}
		s.factory.Shutdown()
	}
}

func (s *shared) sum(run *lesson.Run) {
	run.Say("An informer costs one watch, which brings each object once, and memory.")
	if s.cached > 0 {
		run.Say("After that a read costs no request, and here %s.", lesson.Duration(s.cached))
	}
	run.Say("It pays when you read the same things again and again, or act on changes.")
	run.Say("Make one factory, pass it around, wait for its sync; what it hands you, copy")
	run.Say("before you change it. The cache is as old as the last event that arrived. How")
	run.Say("old that is, and what to do when it matters: go run ./lessons/04-fallback")
}

// names are sorted: a cache has no order.
func names(list []*corev1.ConfigMap) (names []string) {
	for _, cm := range list {
		names = append(names, cm.Name)
	}
	slices.Sort(names)
	return names
}
