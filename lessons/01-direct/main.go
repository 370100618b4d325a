// Lesson 01 reads ConfigMaps straight from the API server, with List and Get.
//
// You learn how to make a clientset and read with it, and what each read costs: a request, but no
// connection. A Get reads from etcd, a List does not. You see three things that slow down a client
// that asks too much: its own rate limit, the server's fairness, and Retry-After.
//
//	go run ./lessons/01-direct
//
// The technique is readDirectly, below. The steps after it measure what it does.
package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// readDirectly lists the ConfigMaps of a namespace, and gets one by its name.
func readDirectly(ctx context.Context, cfg *rest.Config, namespace string) error {
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("make a clientset: %w", err)
	}
	configMaps := clientset.CoreV1().ConfigMaps(namespace)

	list, err := configMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	for _, cm := range list.Items {
		fmt.Println("found", cm.Name)
	}

	app, err := configMaps.Get(ctx, "app", metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err): // an answer, too
		fmt.Println("there is no ConfigMap app")
	case err != nil: // anything else says nothing about whether it is there
		return fmt.Errorf("get ConfigMap app: %w", err)
	default:
		fmt.Printf("app is %s\n", app.Data["color"])
	}
	return nil
}

func main() {
	d := &direct{}
	lesson.Main(lesson.Lesson{
		Name:  "01-direct",
		Title: "Read straight from the API server: List and Get",
		About: "Your program needs to know what is in the cluster. Ask for it. See what each\n" +
			"question costs, and what slows down a program that asks too much.",

		ConfigMaps: examples(),
		Technique:  lesson.Technique{Name: "readDirectly", File: "main.go", Run: readDirectly},
		Setup:      d.connect,
		Steps: []lesson.Step{
			{Name: "config", Title: "Where does a rest.Config come from?", Run: d.whereFrom},
			{Name: "list", Title: "List: what is in the namespace?", Claims: "N1 N2", Run: d.list},
			{Name: "get", Title: "Get: one object by its name", Claims: "N3", Run: d.get},
			{Name: "again", Title: "Twenty more reads: does each make a connection?", Claims: "N4",
				Run: d.again, Needs: []string{"list"}},
			{Name: "etcd", Title: "Does each read go to etcd?", Claims: "N5", Run: d.source},
			{Name: "pages", Title: "How do you read a long list?", Run: d.page},
			{Name: "filter", Title: "Can the server send less?", Run: d.filter},
			{Name: "fairness", Title: "Who shares the server with you?", Claims: "N6",
				Run: d.fairness},
			{Name: "rate-limit", Title: "Twenty reads at once: who holds you back?", Claims: "N7",
				Run: d.throttle},
			{Name: "refused", Title: "The server says no: does client-go ask again?", Claims: "N8",
				Run: d.refused},
		},
		Sum: d.sum,
	})
}

// direct is what the steps share.
type direct struct {
	config    *rest.Config
	clientset *kubernetes.Clientset
	wire      *wire.Counter
	ns        string
	roundTrip time.Duration // of one read, measured by again
}

// connect makes the clientset for the steps, and counts what it sends.
func (d *direct) connect(_ context.Context, run *lesson.Run) (err error) {
	cfg := rest.CopyConfig(run.Config)
	cfg.QPS = -1             // no rate limit in the client, until the step about it
	d.wire = wire.Count(cfg) // counts what goes over the wire from here on
	d.clientset, err = kubernetes.NewForConfig(cfg)
	d.config, d.ns = run.Config, run.Namespace
	return err
}

// list asks for all ConfigMaps of one namespace. The resourceVersion of a list says which state of
// the cluster the list shows. Lesson 02 watches on from there.
func (d *direct) list(ctx context.Context, run *lesson.Run) error {
	start := time.Now()
	list, err := d.clientset.CoreV1().ConfigMaps(d.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	took := time.Since(start)

	run.Say("%s", strings.Join(names(list.Items), ", "))
	run.Say("resourceVersion %s, after %s", list.ResourceVersion, lesson.Duration(took))
	run.Wire(d.wire.Lap())
	run.Say("This first request opened a connection. TLS is part of its time.")
	return nil
}

// get asks for one ConfigMap. "Not found" is an answer, too: tell it from other errors with
// apierrors.IsNotFound, and take only that one for "it is not there".
func (d *direct) get(ctx context.Context, run *lesson.Run) error {
	start := time.Now()
	cm, err := d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, "database", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get ConfigMap database: %w", err)
	}
	took := time.Since(start)
	run.Say("%s: %d keys, resourceVersion %s, after %s",
		cm.Name, len(cm.Data), cm.ResourceVersion, lesson.Duration(took))
	run.Say("its Kind: %q. client-go leaves Kind empty in a typed object.", cm.Kind)

	_, err = d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, "no-such-thing", metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		run.Say("no-such-thing: not found. apierrors.IsNotFound is true: that is an answer.")
	case err != nil:
		return fmt.Errorf("get ConfigMap no-such-thing: %w", err)
	default:
		return fmt.Errorf("ConfigMap no-such-thing is there, and nobody made it")
	}
	run.Wire(d.wire.Lap())
	return nil
}

func (d *direct) sum(run *lesson.Run) {
	run.Say("A direct read is a request, not a connection. A Get also reads from etcd.")
	run.Say("Here a read took %s. Read directly what you need once, and what must not",
		lesson.Duration(d.roundTrip))
	run.Say("be old. To see changes as they come: go run ./lessons/02-watch")
}
