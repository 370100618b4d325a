package observer

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestRecordsWhatWasAsked(t *testing.T) {
	_, o := setup(t)
	ctx := testContext(t)
	configMaps := newClient(t, o, "").CoreV1().ConfigMaps("demo")

	mark := o.Mark()
	if _, err := configMaps.List(ctx, metav1.ListOptions{LabelSelector: "a=b"}); err != nil {
		t.Fatal(err)
	}
	if _, err := configMaps.Get(ctx, "one", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := configMaps.Get(ctx, "missing", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Fatalf("got %v, want NotFound", err)
	}
	if _, err := configMaps.Create(ctx, configMap("created"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := configMaps.Update(ctx, configMap("one"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := configMaps.Patch(ctx, "one", types.MergePatchType, []byte("{}"), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := configMaps.Delete(ctx, "one", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	record := ended(t, ctx, o, mark)

	var got []string
	for _, r := range record.Requests {
		got = append(got, fmt.Sprint(r.Verb, " ", r.Resource, " ", r.Namespace, "/", r.Name, " ", r.Status, " ", r.Proto))
	}
	want := []string{
		"list configmaps demo/ 200 HTTP/2.0",
		"get configmaps demo/one 200 HTTP/2.0",
		"get configmaps demo/missing 404 HTTP/2.0",
		"create configmaps demo/ 201 HTTP/2.0",
		"update configmaps demo/one 200 HTTP/2.0",
		"patch configmaps demo/one 200 HTTP/2.0",
		"delete configmaps demo/one 200 HTTP/2.0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if got := record.Verb("list", "").Requests[0].Query.Get("labelSelector"); got != "a=b" {
		t.Errorf("label selector %q, want a=b", got)
	}
	if got := record.Verb("get", "configmaps").Count(); got != 2 {
		t.Errorf("%d gets, want 2", got)
	}
	if got := record.Requests[0].Header.Get("X-Kubernetes-Pf-Flowschema-Uid"); got != "a-flow-schema" {
		t.Errorf("flow schema %q was not recorded", got)
	}
	if got := record.Requests[0].Header.Get("X-Forwarded-For-Seen"); got != "" {
		t.Errorf("the server saw X-Forwarded-For: %q", got)
	}
	if !strings.Contains(record.Requests[0].Accept, "protobuf") || record.Requests[0].UserAgent == "" {
		t.Errorf("accept %q, user agent %q", record.Requests[0].Accept, record.Requests[0].UserAgent)
	}
}

func TestCountsConnections(t *testing.T) {
	_, o := setup(t)
	ctx := testContext(t)
	config := clientConfig(t, o, "")
	first, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}

	mark := o.Mark()
	for range 20 {
		if err := list(ctx, first); err != nil {
			t.Fatal(err)
		}
	}
	record := o.Since(mark)
	if record.Opened != 1 || record.Connections() != 1 || record.Count() != 20 {
		t.Errorf("got %s, want 20 requests on 1 new connection", record)
	}

	// Another compression setting keeps client-go from sharing the transport.
	other := rest.CopyConfig(config)
	other.DisableCompression = true
	second, err := kubernetes.NewForConfig(other)
	if err != nil {
		t.Fatal(err)
	}
	later := o.Mark()
	for _, clientset := range []kubernetes.Interface{first, second} {
		if err := list(ctx, clientset); err != nil {
			t.Fatal(err)
		}
	}
	record = o.Since(later)
	if record.Opened != 1 || record.Connections() != 2 {
		t.Errorf("got %s, want 2 connections, 1 of them new", record)
	}
	if o.TotalConnections() != 2 || o.OpenConnections() != 2 {
		t.Errorf("%d connections, %d open, want 2 and 2", o.TotalConnections(), o.OpenConnections())
	}
}

func TestHTTP1OnlyGivesEachWatchItsConnection(t *testing.T) {
	_, o := setup(t, WithHTTP1Only())
	ctx := testContext(t)
	clientset := newClient(t, o, "")
	if err := list(ctx, clientset); err != nil {
		t.Fatal(err)
	}
	mark := o.Mark()
	for range 3 {
		startWatch(t, ctx, clientset)
	}
	record := o.Since(mark)
	if record.Connections() != 3 || record.Requests[0].Proto != "HTTP/1.1" {
		t.Errorf("got %s, want 3 watches on 3 connections of HTTP/1.1", record)
	}
}

func TestBytesAreThoseOnTheWire(t *testing.T) {
	f, o := setup(t)
	ctx := testContext(t)
	for _, contentType := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		for _, items := range []int{1, 200} {
			t.Run(fmt.Sprintf("%s %d", contentType, items), func(t *testing.T) {
				f.items = items
				mark := o.Mark()
				got, err := newClient(t, o, contentType).CoreV1().ConfigMaps("demo").List(ctx, metav1.ListOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Items) != items {
					t.Errorf("%d items arrived, want %d", len(got.Items), items)
				}
				record := o.Since(mark)
				header := record.Requests[0].Header
				if want := header.Get("X-Body-Length"); fmt.Sprint(record.Bytes()) != want {
					t.Errorf("%d bytes, want %s", record.Bytes(), want)
				}
				// The large list is compressed by the server for a client that
				// asked for it, and must not be unpacked on the way.
				if packed := header.Get("Content-Encoding") == "gzip"; packed != (items > 1) {
					t.Errorf("compressed: %v", packed)
				}
			})
		}
	}
}

func TestCountsEvents(t *testing.T) {
	for _, contentType := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		t.Run(contentType, func(t *testing.T) {
			f, o := setup(t)
			ctx := testContext(t)
			mark := o.Mark()
			w := startWatch(t, ctx, newClient(t, o, contentType))
			for _, event := range []watch.EventType{watch.Added, watch.Modified, watch.Modified, watch.Bookmark, watch.Deleted} {
				f.send(t, event, "one")
				got, _ := next(t, w)
				if got.Type != event {
					t.Fatalf("got %v, want %s", got, event)
				}
				// The event has arrived while the stream is still open, so
				// nothing on the way waits for more.
				if open := o.Since(mark).Verb("watch", "configmaps").Open().Count(); open != 1 {
					t.Fatalf("%d open watches, want 1", open)
				}
			}
			want := map[watch.EventType]int{watch.Added: 1, watch.Modified: 2, watch.Bookmark: 1, watch.Deleted: 1}
			if diff := cmp.Diff(want, o.Since(mark).Events()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			w.Stop()
			record := ended(t, ctx, o, mark)
			if o.OpenConnections() != 1 || record.Requests[0].Duration <= 0 {
				t.Errorf("after Stop: %d connections open, want 1; %s", o.OpenConnections(), record)
			}
		})
	}
}

func TestSnapshotsStayAsTheyAre(t *testing.T) {
	f, o := setup(t)
	ctx := testContext(t)
	mark := o.Mark()
	w := startWatch(t, ctx, newClient(t, o, ""))
	f.send(t, watch.Added, "one")
	next(t, w)
	before := o.Since(mark)
	f.send(t, watch.Added, "two")
	next(t, w)
	if got := before.Events()[watch.Added]; got != 1 {
		t.Errorf("the snapshot changed: %d events, want 1", got)
	}
	if got := o.Since(mark).Events()[watch.Added]; got != 2 {
		t.Errorf("%d events, want 2", got)
	}
	if got := o.Since(o.Mark()).Count(); got != 0 {
		t.Errorf("%d requests since now, want 0", got)
	}
}

func TestWaitGivesUpWithTheRecord(t *testing.T) {
	_, o := setup(t)
	mark := o.Mark()
	if err := list(testContext(t), newClient(t, o, "")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := o.Wait(ctx, mark, func(r Record) bool { return r.Count() == 2 })
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "list configmaps") {
		t.Errorf("got %v, want context.Canceled and the list", err)
	}
}

func TestCredentials(t *testing.T) {
	f := newFakeServer(t)
	cert, key, err := sign(&x509.Certificate{Subject: pkix.Name{CommonName: "admin"}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	target := f.config()
	target.CertData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	target.KeyData = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	o, err := Start(target)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()

	ctx := testContext(t)
	tests := []struct{ token, wantToken, wantCertificate string }{
		{"", ownToken, "admin"},
		{"a-service-account", "a-service-account", ""},
	}
	for _, test := range tests {
		clientset, err := kubernetes.NewForConfig(clientConfig(t, o, test.token))
		if err != nil {
			t.Fatal(err)
		}
		mark := o.Mark()
		if err := list(ctx, clientset); err != nil {
			t.Fatal(err)
		}
		seen := o.Since(mark).Requests[0].Header
		if seen.Get("X-Token") != test.wantToken || seen.Get("X-Certificate") != test.wantCertificate {
			t.Errorf("with token %q the server saw token %q and certificate %q, want %q and %q",
				test.token, seen.Get("X-Token"), seen.Get("X-Certificate"), test.wantToken, test.wantCertificate)
		}
	}
}

// TestNoTokenNoRights: who can reach the port but not read the kubeconfig gets no further.
func TestNoTokenNoRights(t *testing.T) {
	_, o := setup(t)
	_, other := setup(t)
	if o.token == other.token || len(o.token) < 20 {
		t.Errorf("tokens %q and %q are not random", o.token, other.token)
	}
	config := clientConfig(t, o, "")
	config.BearerToken = ""
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := list(testContext(t), clientset); !apierrors.IsUnauthorized(err) {
		t.Errorf("without a token: %v, want 401 Unauthorized", err)
	}
	if n := o.Since(Mark{}).Count(); n != 0 {
		t.Errorf("%d requests without a token are in the record, want none", n)
	}
}

func TestKubeconfigIsPrivate(t *testing.T) {
	_, o := setup(t)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte("older"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := o.Kubeconfig(path, "observed"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
}

func TestUnreachableServerResetsTheConnection(t *testing.T) {
	f, o := setup(t)
	ctx := testContext(t)
	clientset := newClient(t, o, "")
	w := startWatch(t, ctx, clientset)
	f.send(t, watch.Added, "one")
	next(t, w)
	client := o.Since(Mark{}).Requests[0].Conn

	f.CloseClientConnections()
	if event, ok := next(t, w); ok {
		t.Errorf("got %v, want the end of the watch", event)
	}
	f.Close()

	mark := o.Mark()
	err := list(ctx, clientset)
	var status apierrors.APIStatus
	if err == nil || errors.As(err, &status) {
		t.Errorf("got %v, want an error of the connection", err)
	}
	record := ended(t, ctx, o, mark)
	if record.Requests[0].Conn == client || record.Requests[0].Status != 0 {
		t.Errorf("got %s, want a new connection and no status", record)
	}
}

func TestAbortEndsTheStreamAlone(t *testing.T) {
	_, o := setup(t)
	ctx := testContext(t)
	clientset := newClient(t, o, "")
	mark := o.Mark()
	w := startWatch(t, ctx, clientset)
	aborted := o.Abort(func(r Request) bool { return r.Verb == "watch" })
	if aborted != 1 {
		t.Errorf("%d requests aborted, want 1", aborted)
	}
	if got := describe(next(t, w)); got != "ERROR InternalError" {
		t.Errorf("got %s, want the error of a broken stream", got)
	}
	if got := describe(next(t, w)); got != "end of the watch" {
		t.Errorf("got %s, want the end of the watch", got)
	}
	if err := list(ctx, clientset); err != nil {
		t.Error(err)
	}
	if record := o.Since(mark); record.Opened != 1 {
		t.Errorf("got %s, want 1 connection for both", record)
	}
}

func TestCloseConnections(t *testing.T) {
	_, o := setup(t)
	ctx := testContext(t)
	clientset := newClient(t, o, "")
	w := startWatch(t, ctx, clientset)
	o.CloseConnections()
	if event, ok := next(t, w); ok {
		t.Errorf("got %v, want the end of the watch", event)
	}
	mark := o.Mark()
	if err := listAgain(ctx, clientset); err != nil {
		t.Fatal(err)
	}
	if record := o.Since(mark); record.Opened != 1 {
		t.Errorf("got %s, want 1 new connection", record)
	}
}

func TestRotateCertificate(t *testing.T) {
	_, o := setup(t)
	ctx := testContext(t)
	before := newClient(t, o, "")
	if err := list(ctx, before); err != nil {
		t.Fatal(err)
	}

	if err := o.RotateCertificate(true); err != nil {
		t.Fatal(err)
	}
	if err := listAgain(ctx, before); err != nil {
		t.Fatalf("with the same CA: %v", err)
	}

	if err := o.RotateCertificate(false); err != nil {
		t.Fatal(err)
	}
	err := listAgain(ctx, before)
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with another CA: got %v, want a certificate error", err)
	}
	if err := list(ctx, newClient(t, o, "")); err != nil {
		t.Errorf("with a new kubeconfig: %v", err)
	}
}

func TestCloseEndsWhatIsHeld(t *testing.T) {
	_, o := setup(t)
	ctx := testContext(t)
	o.Inject(Match{Verb: "list"}, NeverAnswer())
	clientset := newClient(t, o, "")
	w := startWatch(t, ctx, clientset)
	failed := make(chan error, 1)
	go func() { failed <- list(ctx, clientset) }()
	if _, err := o.Wait(ctx, Mark{}, func(r Record) bool { return r.Verb("list", "").Count() == 1 }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-failed; err == nil {
		t.Error("the held list succeeded")
	}
	if event, ok := next(t, w); ok {
		t.Errorf("got %v, want the end of the watch", event)
	}
	if record := o.Since(Mark{}); record.Open().Count() != 0 || o.OpenConnections() != 0 {
		t.Errorf("after Close: %d connections, %s", o.OpenConnections(), record)
	}
}

func TestHeadersAndBodyPassUnchanged(t *testing.T) {
	f, o := setup(t)
	ctx := testContext(t)
	fetch := func(config *rest.Config) (http.Header, []byte) {
		t.Helper()
		transport, err := rest.TransportFor(config)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/api/v1/namespaces/a%2Fb/configmaps/one?x=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "application/json")
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var body bytes.Buffer
		if _, err := body.ReadFrom(response.Body); err != nil {
			t.Fatal(err)
		}
		response.Header.Del("Date")
		return response.Header, body.Bytes()
	}
	wantHeader, wantBody := fetch(f.config())
	gotHeader, gotBody := fetch(clientConfig(t, o, ""))
	if diff := cmp.Diff(wantHeader, gotHeader); diff != "" {
		t.Errorf("header (-direct +observed):\n%s", diff)
	}
	if !bytes.Equal(wantBody, gotBody) {
		t.Errorf("the body changed")
	}
}

// TestRefusedBeforeRead lets the server refuse requests without reading their bodies, as an API
// server does with users who lack a right. Every answer must get to its end.
func TestRefusedBeforeRead(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "no")
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	o, err := Start(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	client, err := rest.HTTPClientFor(clientConfig(t, o, ""))
	if err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for range 500 {
				request, _ := http.NewRequestWithContext(ctx, http.MethodPost, o.URL()+"/api/v1/namespaces", strings.NewReader("{}"))
				answer, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "no" {
					t.Errorf("%q, %v", body, err)
				}
				_ = answer.Body.Close()
			}
		})
	}
	all.Wait()
	client.CloseIdleConnections()
}
