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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/exercise"
	"client-go-lessons/internal/observer"
)

// patience is how long the judge waits for what a right program does at once. Only a program that
// hangs makes it wait so long.
const patience = 20 * time.Second

// trial is one run of a program: its namespace, the proxy before it, and the judge's own client,
// which goes past the proxy.
type trial struct {
	path     string
	dir      string
	ns       string
	remove   func() error
	http     *http.Client
	cms      typedcorev1.ConfigMapInterface
	observer *observer.Observer
	program  *program
	patience time.Duration
}

// newTrial makes all that a trial needs. The caller must close it in any case.
func newTrial(ctx context.Context, cfg *rest.Config, e Exercise, path string) (t *trial, err error) {
	t = &trial{path: path, patience: patience}
	if t.dir, err = os.MkdirTemp("", "client-go-lessons-exercise-"); err != nil {
		return t, err
	}
	t.ns, t.remove, err = cluster.Scratch(ctx, &cluster.Cluster{Config: cfg}, "exercise", e.Name, exercise.Stage(e.Name))
	if err != nil {
		return t, err
	}
	own := rest.CopyConfig(cfg)
	own.QPS = -1
	own.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext // a transport to close
	if t.http, err = rest.HTTPClientFor(own); err != nil {
		return t, fmt.Errorf("make a client: %w", err)
	}
	client, err := kubernetes.NewForConfigAndClient(own, t.http)
	if err != nil {
		return t, err
	}
	t.cms = client.CoreV1().ConfigMaps(t.ns)
	if t.observer, err = observer.Start(cfg); err != nil {
		return t, err
	}
	t.inject(observer.Match{Verb: "watch"}, uncompressed())
	return t, t.observer.Kubeconfig(t.kubeconfig(), "judge")
}

func (t *trial) kubeconfig() string { return filepath.Join(t.dir, "kubeconfig") }

func (t *trial) close() error {
	t.program.kill()
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

// start starts the program.
func (t *trial) start(env ...string) (err error) {
	t.program, err = start(t.path, t.dir, t.kubeconfig(), t.ns, env)
	return err
}

// requests are the program's requests for ConfigMaps of its namespace, all or those since a mark.
func (t *trial) requests(since ...observer.Mark) observer.Record {
	var mark observer.Mark
	if len(since) > 0 {
		mark = since[0]
	}
	return t.observer.Since(mark).Where(func(r observer.Request) bool {
		return r.Resource == "configmaps" && r.Namespace == t.ns
	})
}

func (t *trial) count(verb string) int { return t.requests().Verb(verb, "").Count() }

// inject lets f happen to requests of this verb, from the first to the last occurrence.
func (t *trial) inject(m observer.Match, f observer.Fault) {
	m.Resource, m.Namespace = "configmaps", t.ns
	t.observer.Inject(m, f)
}

// within waits until done is true, but no longer than d. It tells whether it is.
func (t *trial) within(ctx context.Context, d time.Duration, done func() bool) bool {
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

// until waits until done is true. It says false when the program ended first: then there is
// nothing to wait for. A program that does neither is told that it hangs. Meanwhile, steps are
// taken again and again.
func (t *trial) until(ctx context.Context, what string, done func() bool, steps ...func() error) (bool, error) {
	var failed error
	ok := t.within(ctx, t.patience, func() bool {
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
	return false, notYet("Your program hangs: the judge waited %.3g s for it to %s%s. Till then it sent %s.",
		t.patience.Seconds(), what, silent, t.sent())
}

// must is until for what a program has to live to do.
func (t *trial) must(ctx context.Context, what string, done func() bool) error {
	ok, err := t.until(ctx, what, done)
	if err == nil && !ok {
		how, _ := t.program.end()
		err = notYet("The judge waited for your program to %s, but %s.", what, how)
	}
	return err
}

// sent counts the program's requests in words: "1 LIST, 12 WATCH".
func (t *trial) sent() string {
	var parts []string
	for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete"} {
		if n := t.count(verb); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToUpper(verb)))
		}
	}
	if len(parts) == 0 {
		return "no request"
	}
	return strings.Join(parts, ", ")
}

// watching tells whether a watch of the program's is open and answered, the n-th at least.
func (t *trial) watching(n int) func() bool {
	return func() bool {
		watches := t.requests().Verb("watch", "")
		for _, w := range watches.Requests {
			if w.Open && w.Status == http.StatusOK && watches.Count() >= n {
				return true
			}
		}
		return false
	}
}

// The judge's own changes, past the proxy.

func (t *trial) create(ctx context.Context, name string) error {
	_, err := t.cms.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"color": "green"},
	}, metav1.CreateOptions{})
	return judges(err)
}

func (t *trial) set(ctx context.Context, name, key, value string) (version string, err error) {
	cm, err := t.cms.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", judges(err)
	}
	if cm.Data == nil {
		cm.Data = map[string]string{}
	}
	cm.Data[key] = value
	cm, err = t.cms.Update(ctx, cm, metav1.UpdateOptions{})
	if err != nil {
		return "", judges(err)
	}
	return cm.ResourceVersion, nil
}

func (t *trial) deleteGate(ctx context.Context) error {
	return judges(t.cms.Delete(ctx, "gate", metav1.DeleteOptions{}))
}

func (t *trial) get(ctx context.Context, name, key string) (string, error) {
	cm, err := t.cms.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", judges(err)
	}
	return cm.Data[key], nil
}

// judges marks an error as one of the judge's own requests.
func judges(err error) error {
	if err != nil {
		return fmt.Errorf("the judge's own request: %w", err)
	}
	return nil
}
