package lesson

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// label marks the namespaces that lessons make; its value is the lesson's name.
	label = "client-go-lessons/lesson"
	// leftover is the age from which a namespace with our label counts as left behind by a run that
	// was killed. Lessons take seconds; younger ones may be a neighbor's.
	leftover = time.Hour
	// cleanup is how long deleting the namespace may take once the run is over.
	cleanup = 10 * time.Second
	// again is how long to wait before it is tried again.
	again = 500 * time.Millisecond
	// preparation is how long all that comes before the first step may take, and tidying how much
	// of it may go to what is not needed for the lesson.
	preparation = time.Minute
	tidying     = 3 * time.Second
	// rootCA is the ConfigMap that kube-controller-manager puts into each namespace.
	rootCA = "kube-root-ca.crt"
)

// scratch is the namespace of a run, and the client that makes and removes it.
type scratch struct {
	lesson Lesson
	prefix string // of the name; that of a lesson if it is ""
	name   string
	made   bool // its making was answered
	blind  bool // the user may not list namespaces, so what killed runs left is not found

	http      *http.Client
	clientset kubernetes.Interface
}

// dial makes a client with a connection of its own: the lesson's connections are what the lesson
// counts, so none may be there before its first request.
func (s *scratch) dial(cfg *rest.Config) error {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	cfg.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext // client-go does not share it
	var err error
	if s.http, err = rest.HTTPClientFor(cfg); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	s.clientset, err = kubernetes.NewForConfigAndClient(cfg, s.http)
	return err
}

func (s *scratch) hangUp() { utilnet.CloseIdleConnectionsFor(s.http.Transport) }

func (s *scratch) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	raw, err := s.clientset.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return "", err
	}
	var version struct{ GitVersion string }
	if err := json.Unmarshal(raw, &version); err != nil || version.GitVersion == "" {
		return "", fmt.Errorf("its answer to /version is not that of a Kubernetes API server: %.60q", raw)
	}
	return version.GitVersion, nil
}

// make creates the namespace and what the lesson wants in it.
func (s *scratch) make(ctx context.Context) error {
	name := cmp.Or(s.prefix, "lesson-"+number(s.lesson)) + "-" + rand.String(5)
	s.name = name
	// A Ctrl-C does not cut this request short: it would leave open whether the namespace was made.
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	made, err := s.clientset.CoreV1().Namespaces().Create(whole, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{label: s.lesson.Name}},
	}, metav1.CreateOptions{})
	if err != nil {
		if refused(err) {
			s.name = "" // there is nothing to delete
		}
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	s.made = true
	s.sweep(ctx, made.CreationTimestamp.Time)
	for _, cm := range s.lesson.ConfigMaps {
		_, err := s.clientset.CoreV1().ConfigMaps(name).Create(ctx, cm, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("create ConfigMap %s: %w", cm.Name, err)
		}
	}
	// A cluster puts a ConfigMap of its own into each namespace, a moment later. Waiting for it
	// keeps the lesson's lists the same in every run; a cluster that does not is fine, too.
	_ = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, tidying, true,
		func(ctx context.Context) (bool, error) {
			_, err := s.clientset.CoreV1().ConfigMaps(name).Get(ctx, rootCA, metav1.GetOptions{})
			return !apierrors.IsNotFound(err), nil
		})
	return ctx.Err()
}

// refused tells whether the server said that it has not done what it was asked: that it did not
// like the request. Any other error leaves open what became of it.
func refused(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return false
	}
	code := answer.Status().Code
	return code >= 400 && code < 500
}

// sweep removes what killed runs left behind. Ages are taken by the server's clock alone: now is
// when it made our namespace.
func (s *scratch) sweep(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, tidying) // the lesson goes on without
	defer cancel()
	list, err := s.clientset.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: label})
	if err != nil {
		s.blind = apierrors.IsForbidden(err)
		return // the next run looks again
	}
	for _, ns := range list.Items {
		if ns.DeletionTimestamp == nil && now.Sub(ns.CreationTimestamp.Time) > leftover {
			_ = s.clientset.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &ns.UID},
			})
		}
	}
}

// remove deletes the namespace, with a deadline of its own: the run's context may be over. A server
// that cannot do it now is asked again until then. It tells whether somebody else was faster.
func (s *scratch) remove() (taken bool, err error) {
	if s.name == "" {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanup)
	defer cancel()
	taken = s.made && s.ending(ctx)
	for {
		e := s.clientset.CoreV1().Namespaces().Delete(ctx, s.name, metav1.DeleteOptions{})
		if e == nil || apierrors.IsNotFound(e) || apierrors.IsConflict(e) {
			return taken, nil
		}
		if err == nil || ctx.Err() == nil { // what the server says tells more than "too late"
			err = e
		}
		if mayPass(e) {
			select {
			case <-time.After(again):
				continue
			case <-ctx.Done():
			}
		}
		return false, &advice{fmt.Sprintf("namespace %s is left behind: %v", s.name, err),
			"Remove it with: kubectl delete namespace " + s.name}
	}
}

// ending tells whether the namespace is gone or on its way. Who may not look finds out nothing.
func (s *scratch) ending(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, tidying)
	defer cancel()
	ns, err := s.clientset.CoreV1().Namespaces().Get(ctx, s.name, metav1.GetOptions{})
	return apierrors.IsNotFound(err) || err == nil && ns.DeletionTimestamp != nil
}

// mayPass tells whether asking again can help: the server was unwell, or not reached at all.
func mayPass(err error) bool {
	var status apierrors.APIStatus
	var authority x509.UnknownAuthorityError
	if errors.As(err, &status) {
		return status.Status().Code >= http.StatusInternalServerError || apierrors.IsTooManyRequests(err)
	}
	return !errors.As(err, &authority)
}
