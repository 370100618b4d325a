// Lesson 05 keeps less in memory, and can do the same with it.
//
// Lesson 03 keeps a whole copy of every object. You learn what that costs, and how to pay less: by
// a selector, by a transform, by keeping the metadata alone. You also learn how to read custom
// resources, what objects without a Go type cost, and how to find an object without looking at all
// of them. Look at two numbers: the bytes that come over the network, and the bytes that stay.
//
//	go run ./lessons/05-memory
//
// keepLess below is the technique in one piece. Each step is in the file of its name; keep.go
// measures.
package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
)

// keepLess keeps the ConfigMaps of the label tier=backend without their largest value, and of all
// ConfigMaps the metadata.
func keepLess(ctx context.Context, cfg *rest.Config, namespace string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	metadataClient, err := metadata.NewForConfig(cfg)
	if err != nil {
		return err
	}
	backend := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.LabelSelector = "tier=backend"
		}),
		informers.WithTransform(func(obj any) (any, error) { // before obj goes into the cache
			if cm, ok := obj.(*corev1.ConfigMap); ok {
				delete(cm.Data, "text")
			}
			return obj, nil
		}))
	lister := backend.Core().V1().ConfigMaps().Lister()
	all := metadatainformer.NewFilteredSharedInformerFactory(metadataClient, 0, namespace, nil)
	names := all.ForResource(corev1.SchemeGroupVersion.WithResource("configmaps")).Lister()
	ctx, cancel := context.WithCancel(ctx)
	defer all.Shutdown() // after cancel, and so is the next one
	defer backend.Shutdown()
	defer cancel()
	backend.Start(ctx.Done())
	all.Start(ctx.Done())
	backend.WaitForCacheSync(ctx.Done())
	all.WaitForCacheSync(ctx.Done())
	cm, err := lister.ConfigMaps(namespace).Get("database")
	if err != nil {
		return err
	}
	fmt.Printf("database: color %s, %d bytes of text\n", cm.Data["color"], len(cm.Data["text"]))
	_, err = names.ByNamespace(namespace).Get("search")
	fmt.Println("search is not of tier backend; its metadata is there:", err == nil)
	return nil
}

func main() {
	m := &memory{}
	lesson.Main(lesson.Lesson{
		Name:  "05-memory",
		Title: "Read the same, keep less",
		About: "A cache holds all that it is sent, for as long as your program runs. See what\n" +
			"each object costs, and keep only what your program reads.",

		ConfigMaps: examples(),
		Technique: lesson.Technique{
			Name: "keepLess", File: "main.go", Run: keepLess, Informers: true},
		Setup: m.fill,
		Steps: []lesson.Step{
			{Name: "everything", Title: "What does a whole copy cost?", Run: m.everything},
			{Name: "selector", Title: "Keep some of the objects", Claims: "B1", Run: m.selector},
			{Name: "transform", Title: "Keep a part of each object", Claims: "B2",
				Run: m.transform},
			{Name: "metadata", Title: "Keep the metadata alone", Claims: "B3",
				Run: m.metadata},
			{Name: "untyped", Title: "What do objects without a Go type cost?", Claims: "B4",
				Run: m.untyped, Needs: []string{"everything"}},
			{Name: "custom", Title: "Read a custom resource", Run: m.custom},
			{Name: "index", Title: "Find some of them without looking at all", Claims: "B5",
				Run: m.index},
			{Name: "table", Title: "Which one do you take?", Run: m.table,
				Needs: []string{"everything", "selector", "transform", "metadata", "untyped"}},
		},
		Sum: sum,
	})
}

func sum(run *lesson.Run) {
	run.Say("Keep what your program reads, and nothing else. A selector saves most, since")
	run.Say("the server does not even send the rest. A transform saves memory, no traffic.")
	run.Say("Metadata alone saves both, if names, labels and owners are all you need.")
	run.Say("A lister's not found then means: not found in what you keep.")
	run.Say("What do you do with what you read? go run ./lessons/06-controller")
}
