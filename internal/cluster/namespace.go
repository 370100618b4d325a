package cluster

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
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
	// label marks the namespaces that are made here. Its value says for what.
	label = "client-go-lessons/lesson"
	// leftover is the age from which a namespace with our label counts as left behind by a run that
	// was killed. Runs take seconds; younger namespaces may be a neighbor's.
	leftover = time.Hour
	// cleanup is how long deleting the namespace may take once the run is over.
	cleanup = 10 * time.Second
	// again is how long to wait before it is tried again.
	again = 500 * time.Millisecond
	// preparation is how long making the namespace and what is in it may take, and tidying how much
	// of it may go to what is not needed for the run.
	preparation = time.Minute
	tidying     = 3 * time.Second
	// rootCA is the ConfigMap that kube-controller-manager puts into each namespace.
	rootCA = "kube-root-ca.crt"
)

// Namespace is a namespace for one run, and the client that makes and removes it.
type Namespace struct {
	Name  string // known as soon as Make sends the request; "" if there is nothing to delete
	Blind bool   // the user may not list namespaces, so what killed runs left is not found

	cluster    *Cluster
	prefix     string // of the name
	purpose    string // the label's value
	configMaps []*corev1.ConfigMap
	made       bool // the server has answered that it made it
	lost       bool // the server is gone, so cleaning up is hopeless

	http      *http.Client
	clientset kubernetes.Interface
}

// NewNamespace makes the client. Nothing is sent before [Namespace.Make]. The name will begin with
// the prefix; the purpose goes into a label, by which later runs find what killed runs left.
//
// The client has a connection of its own: the connections of a run are what the run counts, so none
// may be there before its first request.
func (c *Cluster) NewNamespace(prefix, purpose string, cms []*corev1.ConfigMap) (*Namespace, error) {
	n := &Namespace{cluster: c, prefix: prefix, purpose: purpose, configMaps: cms}
	cfg := rest.CopyConfig(c.Config)
	cfg.QPS = -1
	cfg.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext // client-go does not share it
	var err error
	if n.http, err = rest.HTTPClientFor(cfg); err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	n.clientset, err = kubernetes.NewForConfigAndClient(cfg, n.http)
	return n, err
}

// Scratch makes a namespace for one run of the named program, with these ConfigMaps in it. Call
// remove in any case: it deletes what was made, also when Scratch failed.
func Scratch(ctx context.Context, c *Cluster, kind, name string, cms []*corev1.ConfigMap,
) (namespace string, remove func() error, err error) {
	number, _, _ := strings.Cut(name, "-")
	n, err := c.NewNamespace(kind+"-"+number, kind+"-"+name, cms)
	if err != nil {
		return "", func() error { return nil }, err
	}
	remove = func() error {
		defer n.Close()
		_, err := n.Remove()
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, preparation)
	defer cancel()
	err = n.Make(ctx)
	return n.Name, remove, err
}

// Close ends the client's connections.
func (n *Namespace) Close() { utilnet.CloseIdleConnectionsFor(n.http.Transport) }

// ServerVersion asks the server for its version, such as v1.37.2.
func (n *Namespace) ServerVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	result := n.clientset.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx)
	if err := result.Error(); err != nil { // says more than the error of Raw
		return "", err
	}
	raw, err := result.Raw()
	if err != nil {
		return "", err
	}
	var version struct{ GitVersion string }
	if err := json.Unmarshal(raw, &version); err != nil || version.GitVersion == "" {
		return "", fmt.Errorf("its answer to /version is not that of a Kubernetes API server: %.60q", raw)
	}
	return version.GitVersion, nil
}

// Make creates the namespace and the ConfigMaps, and deletes what killed runs left.
func (n *Namespace) Make(ctx context.Context) error {
	// The name is known before the request goes out, so that a Ctrl-C at any moment finds what there
	// is to delete.
	name := n.prefix + "-" + rand.String(5)
	n.Name = name
	// A Ctrl-C does not cut this request short: it would leave open whether the namespace was made.
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	made, err := n.clientset.CoreV1().Namespaces().Create(whole, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{label: n.purpose}},
	}, metav1.CreateOptions{})
	if err != nil {
		if refused(err) {
			n.Name = "" // there is nothing to delete
		}
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	n.made = true
	n.sweep(ctx, made.CreationTimestamp.Time)
	for _, cm := range n.configMaps {
		_, err := n.clientset.CoreV1().ConfigMaps(name).Create(ctx, cm, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("create ConfigMap %s: %w", cm.Name, err)
		}
	}
	// A cluster puts a ConfigMap of its own into each namespace, a moment later. Waiting for it
	// keeps the lists of a run the same each time; a cluster that does not is fine, too.
	_ = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, tidying, true,
		func(ctx context.Context) (bool, error) {
			_, err := n.clientset.CoreV1().ConfigMaps(name).Get(ctx, rootCA, metav1.GetOptions{})
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
func (n *Namespace) sweep(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, tidying) // the run goes on without
	defer cancel()
	list, err := n.clientset.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: label})
	if err != nil {
		n.Blind = apierrors.IsForbidden(err)
		return // the next run looks again
	}
	for _, ns := range list.Items {
		if ns.DeletionTimestamp == nil && now.Sub(ns.CreationTimestamp.Time) > leftover {
			_ = n.clientset.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &ns.UID},
			})
		}
	}
}

// Removal says what became of a namespace that was to be deleted.
type Removal struct {
	Taken bool   // somebody else had deleted it before
	Gone  bool   // it is gone. Else the cluster is still emptying it, which takes it some seconds
	Held  string // what keeps it from going, in the cluster's words; mostly ""
}

// String says it as what follows "Namespace NAME".
func (r Removal) String() string {
	switch {
	case r.Gone:
		return "is deleted"
	case r.Held != "":
		return "is being deleted, but something holds it: " + r.Held
	}
	return "is being deleted"
}

// Remove deletes the namespace, with a deadline of its own: the context of the run may be over. A
// server that cannot do it now is asked again until then. An error says that the namespace is left
// behind, and is [Advice].
func (n *Namespace) Remove() (r Removal, err error) {
	if n.Name == "" {
		return Removal{Gone: true}, nil
	}
	limit := cleanup
	if n.lost {
		limit = time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if n.made {
		now := n.look(ctx)
		r.Taken = now.Gone || now.Taken
	}
	for {
		e := n.clientset.CoreV1().Namespaces().Delete(ctx, n.Name, metav1.DeleteOptions{})
		if e == nil || apierrors.IsNotFound(e) || apierrors.IsConflict(e) {
			now := n.look(ctx)
			r.Gone, r.Held = now.Gone || apierrors.IsNotFound(e), now.Held
			return r, nil
		}
		if err == nil || ctx.Err() == nil { // what the server says tells more than "too late"
			err = e
		}
		if mayPass(e) && !n.lost {
			select {
			case <-time.After(again):
				continue
			case <-ctx.Done():
			}
		}
		return r, &Advice{fmt.Sprintf("namespace %s is left behind: %v", n.Name, err),
			fmt.Sprintf("Remove it with: %s delete namespace %s", n.cluster.Kubectl(), n.Name)}
	}
}

// look tells whether the namespace is gone, or on its way (Taken) and what holds it. For a user who
// may not look, it is neither.
func (n *Namespace) look(ctx context.Context) (r Removal) {
	ctx, cancel := context.WithTimeout(ctx, tidying)
	defer cancel()
	ns, err := n.clientset.CoreV1().Namespaces().Get(ctx, n.Name, metav1.GetOptions{})
	if err != nil {
		return Removal{Gone: apierrors.IsNotFound(err)}
	}
	r.Taken = ns.DeletionTimestamp != nil
	for _, condition := range ns.Status.Conditions {
		if r.Taken && condition.Status == corev1.ConditionTrue {
			r.Held = firstLine(condition.Message)
			break
		}
	}
	return r
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
