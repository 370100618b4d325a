// Lesson 06 acts on what it reads: a controller, to take home.
//
// You learn how informers, a queue and a function that compares and writes become a controller, and
// how the controller stays right when its cache is behind, when a write fails, when somebody else
// interferes, and when it is stopped. Look at the wire lines: a controller that has nothing to do
// sends nothing.
//
//	go run ./lessons/06-controller
//
// giveChildren below is the technique in one piece. controller.go is a whole controller, and
// leader.go makes several replicas take turns. Run the controller alone, until Ctrl-C, with the
// kubeconfig of make up:
//
//	KUBECONFIG=.cluster/kubeconfig go run ./lessons/06-controller controller
//
// Each step is in the file of its name; running.go watches the controller for the steps.
package main

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// giveChildren is a controller in its smallest form: it makes a child for each ConfigMap with the
// label summary=wanted, and ends when its queue is empty.
func giveChildren(ctx context.Context, cfg *rest.Config, ns string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(ns))
	configMaps := factory.Core().V1().ConfigMaps()
	queue := workqueue.NewTypedRateLimitingQueue(
		workqueue.DefaultTypedControllerRateLimiter[string]())
	defer queue.ShutDown()
	handler, err := configMaps.TypedInformer().AddTypedEventHandler(
		corev1informers.ConfigMapHandlerFuncs{ // a handler puts a name into the queue, no more
			AddFunc: func(cm *corev1.ConfigMap) { queue.Add(cm.Name) },
		})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer factory.Shutdown() // after cancel
	defer cancel()
	factory.StartWithContext(ctx)
	if !cache.WaitFor(ctx, "", handler.HasSyncedChecker()) {
		return context.Cause(ctx)
	}
	for queue.Len() > 0 { // the workers of a real controller do this for ever
		name, _ := queue.Get()
		cm, err := configMaps.Lister().ConfigMaps(ns).Get(name)
		if err == nil && cm.Labels["summary"] == "wanted" {
			child := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name + "-child"}}
			_, err = clientset.CoreV1().ConfigMaps(ns).Create(ctx, child, metav1.CreateOptions{})
			fmt.Printf("%s wants a child: %s, error %v\n", name, child.Name, err)
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			queue.AddRateLimited(name) // again, after a wait
		}
		queue.Done(name)
	}
	return nil
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "controller" {
		if err := controllerMain(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	s := &shared{}
	lesson.Main(lesson.Lesson{
		Name:  "06-controller",
		Title: "Act on what you read",
		About: "A controller compares what should be with what is, and writes the difference.\n" +
			"Here is a whole one, and what makes it right when things go wrong.",

		ConfigMaps: []*corev1.ConfigMap{parent("app", "color", "size")},
		Technique: lesson.Technique{
			Name: "giveChildren", File: "main.go", Run: giveChildren, Informers: true},
		Setup: s.connect,
		Steps: []lesson.Step{
			{Name: "controller", Title: "A whole controller, in controller.go", Run: s.first},
			{Name: "burst", Title: "A hundred changes: how many reconciles?", Claims: "B6",
				Run: s.burst},
			{Name: "retry", Title: "What happens after an error?", Claims: "B7", Run: s.retry},
			{Name: "restore", Title: "Somebody deletes the child", Claims: "B8", Run: s.restore},
			{Name: "restart", Title: "What does a restart write?", Claims: "B9", Run: s.restart},
			{Name: "late", Title: "Does a late cache make a second child?", Claims: "B10",
				Run: s.late},
			{Name: "missed", Title: "A deletion that nobody saw", Claims: "B11", Run: s.missed},
			{Name: "leader", Title: "Two replicas: which one acts?", Claims: "B12", Run: s.leader},
			{Name: "shutdown", Title: "What is lost when it stops?", Claims: "B13",
				Run: s.shutdown},
		},
		Sum: sum,
	})
}

// first runs the controller until app has its child.
func (s *shared) first(ctx context.Context, run *lesson.Run) error {
	cfg := rest.CopyConfig(s.config)
	counter := wire.Count(cfg)
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	c, err := newController(clientset, s.ns)
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- c.run(working) }()

	child := metav1.ListOptions{FieldSelector: "metadata.name=app-summary"}
	w, err := s.configMaps.Watch(ctx, child)
	if err != nil {
		return err
	}
	defer w.Stop()
	select {
	case event := <-w.ResultChan():
		cm, ok := event.Object.(*corev1.ConfigMap)
		if !ok {
			return fmt.Errorf("the watch for app-summary: %s %v", event.Type, event.Object)
		}
		run.Say("app, with the label summary=wanted, has a child")
		run.Say("%s: keys %s", cm.Name, cm.Data["keys"])
		stop()
		err = <-ended
	case err = <-ended:
	}
	run.Wire(counter.Lap())
	return err
}

func sum(run *lesson.Run) {
	run.Say("A handler puts a name into a queue. A worker compares what should be with")
	run.Say("what is, and writes the difference, if there is one. So it does not matter")
	run.Say("how often the worker is asked, or what it has missed. A name that can be")
	run.Say("foreseen and the version in an update make the server refuse what an old")
	run.Say("cache would do wrong. The same with controller-runtime: docs/beyond.md")
}
