package observer

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// fakeServer speaks as much of the Kubernetes API as these tests need:
// ConfigMaps, in JSON and protobuf, over TLS and HTTP/2.
type fakeServer struct {
	*httptest.Server
	// events is what the next watch to listen sends.
	events chan watch.Event
	// items is the number of ConfigMaps in a list.
	items int
}

const ownToken = "the-target's-own"

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{events: make(chan watch.Event), items: 3}
	f.Server = httptest.NewUnstartedServer(f)
	f.EnableHTTP2 = true
	f.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	f.StartTLS()
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *fakeServer) config() *rest.Config {
	return &rest.Config{
		Host:        f.URL,
		BearerToken: ownToken,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}),
		},
	}
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Kubernetes-Pf-Flowschema-Uid", "a-flow-schema")
	w.Header().Set("X-Token", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	for _, cert := range r.TLS.PeerCertificates {
		w.Header().Set("X-Certificate", cert.Subject.CommonName)
	}
	w.Header().Set("X-Forwarded-For-Seen", r.Header.Get("X-Forwarded-For"))
	request := parseRequest(r)
	switch {
	case request.Verb == "watch":
		f.watch(w, r)
	case request.Verb == "list":
		list := &corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
		for i := range f.items {
			list.Items = append(list.Items, *configMap(fmt.Sprintf("cm-%d", i)))
		}
		f.answer(w, r, http.StatusOK, list)
	case request.Verb == "get" && request.Name == "missing":
		err := apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, "missing")
		f.answer(w, r, http.StatusNotFound, &err.ErrStatus)
	case request.Verb == "create":
		f.answer(w, r, http.StatusCreated, configMap("created"))
	default:
		f.answer(w, r, http.StatusOK, configMap("one"))
	}
}

func (f *fakeServer) answer(w http.ResponseWriter, r *http.Request, status int, object runtime.Object) {
	info := negotiate(r.Header.Get("Accept"))
	var body bytes.Buffer
	if err := codecs.EncoderForVersion(info.Serializer, coreV1).Encode(object, &body); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", info.MediaType)
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && body.Len() > 10_000 {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(body.Bytes())
		_ = z.Close()
		body = packed
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("X-Body-Length", fmt.Sprint(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

func (f *fakeServer) watch(w http.ResponseWriter, r *http.Request) {
	info := negotiate(r.Header.Get("Accept"))
	w.Header().Set("Content-Type", info.MediaType+";stream=watch")
	w.WriteHeader(http.StatusOK)
	flush(w)
	for {
		select {
		case event := <-f.events:
			raw, err := encodeEvent(info.MediaType, event.Type, event.Object)
			if err != nil {
				panic(err)
			}
			_, _ = w.Write(raw)
			flush(w)
		case <-r.Context().Done():
			return
		}
	}
}

// send hands one event to a watch, and fails when none is listening.
func (f *fakeServer) send(t *testing.T, event watch.EventType, name string) {
	t.Helper()
	select {
	case f.events <- watch.Event{Type: event, Object: configMap(name)}:
	case <-t.Context().Done():
	case <-time.After(10 * time.Second):
		t.Fatalf("no watch took the event %s %s", event, name)
	}
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "demo", ResourceVersion: "8"},
		Data:       map[string]string{"quote": `a "}" in a string`, "text": strings.Repeat("configmap ", 100)},
	}
}

// setup starts a fake server and an observer in front of it.
func setup(t *testing.T, opts ...Option) (*fakeServer, *Observer) {
	t.Helper()
	f := newFakeServer(t)
	o, err := Start(f.config(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, o
}

// clientConfig returns what a lesson would get from the observer's kubeconfig.
func clientConfig(t *testing.T, o *Observer, token string) *rest.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := o.KubeconfigWithToken(path, "observed", token); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

// newClient returns a client that speaks contentType, or client-go's default
// for "".
func newClient(t *testing.T, o *Observer, contentType string) *kubernetes.Clientset {
	t.Helper()
	config := clientConfig(t, o, "")
	config.ContentType = contentType
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return clientset
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// list does one list request without client-go's retries.
func list(ctx context.Context, clientset kubernetes.Interface) error {
	return clientset.CoreV1().RESTClient().Get().
		Namespace("demo").Resource("configmaps").MaxRetries(0).Do(ctx).Error()
}

// listAgain lists until it is not the connection that fails: client-go takes
// a moment to see that the one it has is gone.
func listAgain(ctx context.Context, clientset kubernetes.Interface) error {
	err := list(ctx, clientset)
	for connectionLost(err) && ctx.Err() == nil {
		err = list(ctx, clientset)
	}
	return err
}

// connectionLost says whether err is what a reset connection gives. Which of
// these it is depends on what the client was doing with the connection.
func connectionLost(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		err != nil && strings.Contains(err.Error(), "http2: client connection")
}

func startWatch(t *testing.T, ctx context.Context, clientset kubernetes.Interface) watch.Interface {
	t.Helper()
	w, err := clientset.CoreV1().ConfigMaps("demo").Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

// next returns the next event, with ok false when the watch has ended.
func next(t *testing.T, w watch.Interface) (event watch.Event, ok bool) {
	t.Helper()
	select {
	case event, ok = <-w.ResultChan():
		return event, ok
	case <-time.After(10 * time.Second):
		t.Fatal("neither an event nor an end of the watch")
		return
	}
}

// ended waits until no request since m is under way.
func ended(t *testing.T, ctx context.Context, o *Observer, m Mark) Record {
	t.Helper()
	record, err := o.Wait(ctx, m, func(r Record) bool { return r.Count() > 0 && r.Open().Count() == 0 })
	if err != nil {
		t.Fatal(err)
	}
	return record
}
