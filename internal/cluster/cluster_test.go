package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFindKubeconfigInThePromisedOrder(t *testing.T) {
	dir := t.TempDir()
	write := func(path string) string {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flag, env := write("flag"), write("env")
	write("work/.cluster/kubeconfig")
	if err := os.MkdirAll(filepath.Join(dir, "work/lessons/01"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "work/lessons/01"))

	for _, c := range []struct{ flag, env, want string }{
		{flag, env, flag},
		{"", env, env},
		{"", "", filepath.Join(dir, "work/.cluster/kubeconfig")},
	} {
		t.Setenv("KUBECONFIG", c.env)
		paths, _, err := findKubeconfig(c.flag)
		if err != nil || len(paths) != 1 || !sameFile(paths[0], c.want) {
			t.Errorf("flag %q, env %q: %v, %v; want %s", c.flag, c.env, paths, err, c.want)
		}
	}
	t.Setenv("KUBECONFIG", filepath.Join(dir, "nowhere"))
	if _, _, err := findKubeconfig(""); err == nil {
		t.Error("a $KUBECONFIG that names nothing must not fall through to another cluster")
	}
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

func TestPickContext(t *testing.T) {
	raw := clientcmdapi.Config{CurrentContext: "here",
		Contexts: map[string]*clientcmdapi.Context{"here": {}, "there": {}}}
	for asked, want := range map[string]string{"": "here", "there": "there"} {
		if got, err := pickContext(raw, asked, "file"); err != nil || got != want {
			t.Errorf("%q: %q, %v", asked, got, err)
		}
	}
	if _, err := pickContext(raw, "elsewhere", "file"); err == nil || !strings.Contains(err.Error(), "here, there") {
		t.Errorf("an unknown context must be told which there are: %v", err)
	}
	raw.CurrentContext = ""
	if _, err := pickContext(raw, "", "file"); err == nil || !strings.Contains(err.Error(), "no current context") {
		t.Errorf("no context at all: %v", err)
	}
}

// TestSweep: namespaces of ours older than an hour go; younger ones, other people's and those that
// are going already stay. Ages are by the server's clock, so this machine's does not matter.
func TestSweep(t *testing.T) {
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	ns := func(name string, age time.Duration, ours bool) *corev1.Namespace {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid",
			CreationTimestamp: metav1.NewTime(now.Add(-age))}}
		if ours {
			n.Labels = map[string]string{label: "01-direct"}
		}
		return n
	}
	client := fake.NewClientset(ns("old", 61*time.Minute, true), ns("young", 59*time.Minute, true),
		ns("future", -time.Hour, true), ns("foreign", 100*time.Hour, false))
	s := &Namespace{clientset: client}
	s.sweep(t.Context(), now)

	list, err := client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, n := range list.Items {
		left = append(left, n.Name)
	}
	if got := fmt.Sprint(left); got != "[foreign future young]" {
		t.Errorf("left: %s", got)
	}
}

func TestExplainSaysWhatToDo(t *testing.T) {
	gr := schema.GroupResource{Resource: "configmaps"}
	for want, err := range map[string]error{
		"lacks that right": apierrors.NewForbidden(gr, "", errors.New(
			`User "x" cannot list resource "configmaps" in API group "" in the namespace "n"`)),
		"A policy of this cluster": apierrors.NewForbidden(gr, "app", errors.New(
			"ValidatingAdmissionPolicy 'no-blue' with binding 'b' denied request: no blue things")),
		"Log in anew": apierrors.NewUnauthorized("Unauthorized"),
		"gke-install gke-gcloud-auth-plugin": errors.New("Get \"https://x\": getting credentials: exec: executable gke-gcloud-auth-plugin not found" +
			"\n\nIt looks like you are trying to use a client-go credential plugin that is not installed.\n\nTo learn more about this feature, consult the documentation available at:\n" +
			"      https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins\n\nRun:\n  gke-install gke-gcloud-auth-plugin"),
		"you have to log in":     errors.New("getting credentials: exec: executable aws failed with exit code 255"),
		"The proxy":              &net.OpError{Op: "proxyconnect", Net: "tcp", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}},
		"Start it with: make up": &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"Nobody here knows":      &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "x"}},
		"tls-server-name":        x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"},
		"may have expired":       apierrors.NewUnauthorized("who?"),
		"make status":            context.DeadlineExceeded,
		"Error: plain":           errors.New("plain"),
		"in a moment":            apierrors.NewTooManyRequestsError("busy"),
		"Start it":               &Advice{"nothing there", "Start it"},
		"List again":             apierrors.NewResourceExpired("too old resource version"),
		"clock is ahead":         x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired},
		"likely behind": x509.CertificateInvalidError{
			Cert: &x509.Certificate{NotBefore: time.Now().Add(time.Hour)}, Reason: x509.Expired},
	} {
		text := Explain(fmt.Errorf("step 1: %w", err))
		if strings.Contains(text, "Try again") && !apierrors.IsTooManyRequests(err) {
			t.Errorf("%q: trying again does not mend %v", text, err)
		}
		if !strings.Contains(text, strings.TrimPrefix(want, "Error: ")) || strings.Count(text, "\n") > 1 {
			t.Errorf("%v: %q does not say %q in two lines at most", err, text, want)
		}
	}
}
