package judge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/observer"
)

// patience is how long the judge waits for what a right program does at once. Only a program that
// hangs makes it wait so long.
const patience = 20 * time.Second

// Trial is one run of a program: its namespace, the proxy before it, and the judge's own client,
// which goes past the proxy.
type Trial struct {
	// ConfigMaps is the judge's own client.
	ConfigMaps typedcorev1.ConfigMapInterface
	Namespace  string
	Stage      []*corev1.ConfigMap // as exercise.yaml says

	path     string
	dir      string
	own      map[string]bool // names of the stage and of what the judge has created
	remove   func() error
	http     *http.Client
	observer *observer.Observer
	program  *program
	patience time.Duration
}

// newTrial makes all that a trial needs. The caller must close it in any case.
func newTrial(ctx context.Context, c *cluster.Cluster, e Exercise, path string) (t *Trial, err error) {
	t = &Trial{path: path, patience: patience, Stage: e.Stage, own: map[string]bool{}}
	if t.dir, err = os.MkdirTemp("", "client-go-lessons-exercise-"); err != nil {
		return t, err
	}
	for _, cm := range e.Stage {
		t.own[cm.Name] = true
	}
	t.Namespace, t.remove, err = cluster.Scratch(ctx, c, "exercise", e.Name, e.Stage)
	if err != nil {
		return t, err
	}
	own := rest.CopyConfig(c.Config)
	own.QPS = -1
	own.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext // a transport to close
	if t.http, err = rest.HTTPClientFor(own); err != nil {
		return t, fmt.Errorf("make a client: %w", err)
	}
	client, err := kubernetes.NewForConfigAndClient(own, t.http)
	if err != nil {
		return t, err
	}
	t.ConfigMaps = client.CoreV1().ConfigMaps(t.Namespace)
	if t.observer, err = observer.Start(c.Config); err != nil {
		return t, err
	}
	t.Inject(observer.Match{Verb: "watch"}, uncompressed())
	return t, t.observer.Kubeconfig(t.kubeconfig(), "judge")
}

func (t *Trial) kubeconfig() string { return filepath.Join(t.dir, "kubeconfig") }

func (t *Trial) close() error {
	t.Kill()
	var errs []error
	if t.observer != nil {
		errs = append(errs, t.observer.Close())
	}
	if t.http != nil {
		utilnet.CloseIdleConnectionsFor(t.http.Transport)
	}
	if t.remove != nil {
		errs = append(errs, t.remove())
	}
	if t.dir != "" {
		errs = append(errs, os.RemoveAll(t.dir))
	}
	return errors.Join(errs...)
}

// Start starts the program.
func (t *Trial) Start(env ...string) (err error) {
	t.program, err = start(t.path, t.dir, t.kubeconfig(), t.Namespace, env)
	return err
}

// Requests are the program's requests for ConfigMaps of its namespace, all or those since a mark.
func (t *Trial) Requests(since ...observer.Mark) observer.Record {
	var mark observer.Mark
	if len(since) > 0 {
		mark = since[0]
	}
	return t.observer.Since(mark).Where(func(r observer.Request) bool {
		return r.Resource == "configmaps" && r.Namespace == t.Namespace
	})
}

// Count is how many of them have this verb.
func (t *Trial) Count(verb string) int { return t.Requests().Verb(verb, "").Count() }

// Inject lets f happen to requests of this verb, from the first to the last occurrence.
func (t *Trial) Inject(m observer.Match, f observer.Fault) {
	m.Resource, m.Namespace = "configmaps", t.Namespace
	t.observer.Inject(m, f)
}

// Within waits until done is true, but no longer than d. It tells whether it is.
func (t *Trial) Within(ctx context.Context, d time.Duration, done func() bool) bool {
	late := time.NewTimer(d)
	defer late.Stop()
	look := time.NewTicker(3 * time.Millisecond)
	defer look.Stop()
	for {
		ended := t.program.ended() // asked first: what it did last counts
		if done() {
			return true
		}
		if ended {
			return false
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		case <-late.C:
			return false
		}
	}
}

// Until waits until done is true. It says false when the program ended first: then there is
// nothing to wait for. A program that does neither is told that it hangs. Meanwhile, steps are
// taken again and again.
func (t *Trial) Until(ctx context.Context, what string, done func() bool, steps ...func() error) (bool, error) {
	var failed error
	ok := t.Within(ctx, t.patience, func() bool {
		for _, step := range steps {
			failed = errors.Join(failed, step())
		}
		return done() || failed != nil
	})
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case failed != nil:
		return false, failed
	case ok || t.program.ended():
		return ok, nil
	}
	silent := ""
	if t.program.total() == 0 {
		silent = ", and it printed nothing at all"
	}
	return false, NotYet("Your program hangs: the judge waited %.3g s for it to %s%s. Till then it sent %s.",
		t.patience.Seconds(), what, silent, t.Sent())
}

// Must is Until for what a program has to live to do.
func (t *Trial) Must(ctx context.Context, what string, done func() bool) error {
	ok, err := t.Until(ctx, what, done)
	if err == nil && !ok {
		how, _ := t.program.end()
		err = NotYet("The judge waited for your program to %s, but %s.", what, how)
	}
	return err
}

// Sent counts the program's requests in words: "1 LIST, 12 WATCH".
func (t *Trial) Sent() string {
	var parts []string
	for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete"} {
		if n := t.Count(verb); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToUpper(verb)))
		}
	}
	if len(parts) == 0 {
		return "no request"
	}
	return strings.Join(parts, ", ")
}

// Watching tells whether a watch of the program's is open and answered, the n-th at least.
func (t *Trial) Watching(n int) func() bool {
	return func() bool {
		watches := t.Requests().Verb("watch", "")
		for _, w := range watches.Requests {
			if w.Open && w.Status == http.StatusOK && watches.Count() >= n {
				return true
			}
		}
		return false
	}
}

// Synced tells whether the program's informer has all there was.
func (t *Trial) Synced() bool {
	return t.Watching(1)() && (t.Count("list") > 0 || t.Requests().Events()[watch.Bookmark] > 0)
}

// JudgesOwn marks an error as one of the judge's own requests.
func JudgesOwn(err error) error {
	if err != nil {
		return fmt.Errorf("the judge's own request: %w", err)
	}
	return nil
}
