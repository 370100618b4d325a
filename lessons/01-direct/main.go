// Lesson 01 reads ConfigMaps straight from the API server, with List and Get.
//
// You learn how to make a clientset and read with it, and what each read costs: a request, but no
// connection; for a Get a read from etcd, for a List none. You see what holds a client back that
// asks too much: its own rate limit, the server's fairness, and Retry-After.
//
//	go run ./lessons/01-direct
//
// Steps 1 to 3 are in this file, 4 in source.go, 5 and 6 in narrow.go, 7 to 9 in limits.go.
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

func main() {
	d := &direct{}
	lesson.Main(lesson.Lesson{
		Name:  "01-direct",
		Title: "Reading straight from the API server",
		About: "List and Get with a clientset, what each read costs, and what holds you back.",

		ConfigMaps: examples(),
		Setup:      d.connect,
		Steps: []lesson.Step{
			{Name: "list", Title: "List the ConfigMaps of a namespace",
				Claims: "N1 N2", Run: d.list},
			{Name: "get", Title: "Get one by name", Claims: "N3", Run: d.get},
			{Name: "again", Title: "Twenty more reads: does each make a connection?",
				Claims: "N4", Run: d.again,
				Needs: []string{"list"}},
			{Name: "etcd", Title: "Does each read go to etcd?", Claims: "N5", Run: d.source},
			{Name: "pages", Title: "Read a long list in pages", Run: d.page},
			{Name: "filter", Title: "Let the server filter", Run: d.filter},
			{Name: "fairness", Title: "Who shares the server with you",
				Claims: "N6", Run: d.fairness},
			{Name: "rate-limit", Title: "Ask too fast: the client holds you back",
				Claims: "N7", Run: d.throttle},
			{Name: "refused", Title: "Ask a server that says no", Claims: "N8", Run: d.refused},
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
	roundTrip time.Duration // of one read, measured in step 3
}

// connect makes the clientset: everything you read from Kubernetes with client-go starts with a
// rest.Config, which says where the server is and who you are, and a clientset made from it.
// (The notes have kubernetes.New(cfg) here. That takes something else; NewForConfig is meant.)
func (d *direct) connect(_ context.Context, run *lesson.Run) (err error) {
	cfg := rest.CopyConfig(run.Config)
	cfg.QPS = -1             // no client-side rate limit, until step 8 shows it
	d.wire = wire.Count(cfg) // what goes over the wire from here on is counted
	d.clientset, err = kubernetes.NewForConfig(cfg)
	d.config, d.ns = run.Config, run.Namespace
	return err
}

// list asks for all ConfigMaps of one namespace. The resourceVersion of a list says which state of
// the cluster it shows: lesson 02 goes on from there.
func (d *direct) list(ctx context.Context, run *lesson.Run) error {
	start := time.Now()
	list, err := d.clientset.CoreV1().ConfigMaps(d.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list ConfigMaps: %w", err)
	}
	took := time.Since(start)

	var names []string
	for _, cm := range list.Items {
		names = append(names, cm.Name)
	}
	run.Say("%s", strings.Join(names, ", "))
	run.Say("resourceVersion %s, after %s", list.ResourceVersion, lesson.Duration(took))
	run.Wire(d.wire.Lap())
	run.Say("The first request opened the connection; TLS is part of its time.")
	return nil
}

// get asks for one ConfigMap. That there is none is an answer, too: tell it from other errors with
// apierrors.IsNotFound, and treat only that one as "it is not there".
func (d *direct) get(ctx context.Context, run *lesson.Run) error {
	start := time.Now()
	cm, err := d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, "database", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get ConfigMap database: %w", err)
	}
	took := time.Since(start)
	run.Say("%s: %d keys, resourceVersion %s, after %s",
		cm.Name, len(cm.Data), cm.ResourceVersion, lesson.Duration(took))

	_, err = d.clientset.CoreV1().ConfigMaps(d.ns).Get(ctx, "no-such-thing", metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		run.Say("no-such-thing: not found, which apierrors.IsNotFound tells from a failure")
	case err != nil:
		return fmt.Errorf("get ConfigMap no-such-thing: %w", err)
	default:
		return fmt.Errorf("ConfigMap no-such-thing is there, and nobody made it")
	}
	run.Wire(d.wire.Lap())
	return nil
}

// again reads twenty times more. The notes say that each call makes a new connection; the counter
// looks at the connection that each request was really sent on.
func (d *direct) again(ctx context.Context, run *lesson.Run) error {
	configMaps := d.clientset.CoreV1().ConfigMaps(d.ns)
	start := time.Now()
	for range 10 {
		if _, err := configMaps.List(ctx, metav1.ListOptions{}); err != nil {
			return fmt.Errorf("list ConfigMaps: %w", err)
		}
		if _, err := configMaps.Get(ctx, "database", metav1.GetOptions{}); err != nil {
			return fmt.Errorf("get ConfigMap database: %w", err)
		}
	}
	d.roundTrip = time.Since(start) / 20

	lap := d.wire.Lap()
	run.Wire(lap)
	if lap.Connections == 0 {
		run.Say("No: each was a new request on the connection that was there.")
		run.Say("(True over HTTP/1.1 as well, as long as calls take turns: DISABLE_HTTP2=1.)")
	} else {
		run.Say("Something closed the connection on the way, so client-go opened another.")
	}
	return nil
}

func (d *direct) sum(run *lesson.Run) {
	run.Say("A direct read is a request, not a connection. It costs a trip, here %s,",
		lesson.Duration(d.roundTrip))
	run.Say("and a Get costs a read from etcd. Use it for what you read once, and where")
	run.Say("you must not be wrong. To see changes as they come: go run ./lessons/02-watch")
}
