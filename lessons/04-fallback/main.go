// Lesson 04 lives with a cache that is behind.
//
// What a lister answers is as old as the last watch event that came in. Most of the time that is a
// matter of milliseconds, and right after a write of your own is when you notice. You measure it,
// then try six ways to deal with it on the same work, and see which errors a stale copy leads to
// and how to be safe from them.
//
//	go run ./lessons/04-fallback
//
// readYourWrite below is the technique in one piece. Each step is in the file of its name.
package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
)

// readYourWrite changes a ConfigMap, then reads it: from the cache if the cache has that change,
// else from the server.
func readYourWrite(ctx context.Context, cfg *rest.Config, namespace string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	api := clientset.CoreV1().ConfigMaps(namespace)
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(namespace))
	lister := factory.Core().V1().ConfigMaps().Lister().ConfigMaps(namespace)
	ctx, cancel := context.WithCancel(ctx)
	defer factory.Shutdown() // after cancel
	defer cancel()
	factory.StartWithContext(ctx)
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return err
	}

	saved, err := api.Patch(ctx, "app", types.MergePatchType,
		[]byte(`{"data":{"color":"green"}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	app, err := lister.Get("app")
	if err != nil {
		return err
	}
	from := "the cache"
	order, err := resourceversion.CompareResourceVersion(app.ResourceVersion, saved.ResourceVersion)
	if err != nil {
		return err
	}
	if order < 0 { // the cache does not have the change yet
		from = "the server"
		if app, err = api.Get(ctx, "app", metav1.GetOptions{}); err != nil {
			return err
		}
	}
	fmt.Printf("app is %s, as read from %s\n", app.Data["color"], from)
	return nil
}

func main() {
	d := &fallback{}
	lesson.Main(lesson.Lesson{
		Name:  "04-fallback",
		Title: "When the cache is behind",
		About: "You write, then read the cache, and it shows the state before. How often does\n" +
			"that happen, what can you do, and what does each way cost?",

		ConfigMaps: examples(),
		Technique: lesson.Technique{
			Name: "readYourWrite", File: "main.go", Run: readYourWrite, Informers: true},
		Setup: d.connect,
		Steps: []lesson.Step{
			{Name: "race", Title: "Is your own write in the cache?",
				Claims: "N24", Run: d.why(d.race)},
			{Name: "late", Title: "What if events come late?",
				Claims: "N25 N26", Run: d.why(d.late)},
			{Name: "remedies", Title: "Which of six ways is right for you?",
				Claims: "N26 N27", Run: d.why(d.compare)},
			{Name: "conflict", Title: "What does an update of a stale copy do?",
				Claims: "N26 N27", Run: d.why(d.conflict)},
			{Name: "create", Title: "How do you not create a thing twice?",
				Claims: "N27", Run: d.why(d.create)},
			{Name: "notfound", Title: "Is it not there, or do you not know?",
				Claims: "N27", Run: d.notFound},
		},
		Sum:   d.sum,
		Close: d.close,
	})
}
