package observer

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

func TestFollowTellsWhatHappensInOrder(t *testing.T) {
	f, o := setup(t, WithDetails())
	ctx := testContext(t)
	changes := o.Follow(ctx)
	configMaps := newClient(t, o, "").CoreV1().ConfigMaps("demo")

	if _, err := configMaps.Get(ctx, "one", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	ended(t, ctx, o, Mark{})
	mark := o.Mark()
	w, err := configMaps.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.send(t, watch.Added, "a")
	f.send(t, watch.Deleted, "b")
	for range 2 {
		next(t, w)
	}
	w.Stop()
	ended(t, ctx, o, mark)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}

	var got []string
	for c := range changes { // ends: the observer is closed
		line := fmt.Sprint(c.What, " ", c.Request.Verb, " ", c.Request.ID)
		if c.What == Event {
			line += fmt.Sprint(" ", c.EventType, " ", c.Object.Name, " ", c.Object.ResourceVersion)
		}
		if c.What == Ended {
			line += fmt.Sprint(" ", c.Request.Status, " ", c.Request.EndedBy)
		}
		got = append(got, line)
	}
	want := []string{
		"request get 1", "answer get 1", "end get 1 200 server",
		"request watch 2", "answer watch 2",
		"event watch 2 ADDED a 8", "event watch 2 DELETED b 8",
		"end watch 2 200 client",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	_, o := setup(t)
	ctx, cancel := context.WithCancel(testContext(t))
	changes := o.Follow(ctx)
	cancel()
	for c := range changes {
		t.Errorf("got %v after the end", c)
	}
	changes = o.Follow(testContext(t))
	if err := list(testContext(t), newClient(t, o, "")); err != nil {
		t.Fatal(err)
	}
	for range changes {
		break
	}
	if len(o.journal.followers) != 0 {
		t.Errorf("%d followers are left", len(o.journal.followers))
	}
}

func TestWithoutRecordKeepsNothing(t *testing.T) {
	_, o := setup(t, WithoutRecord())
	ctx := testContext(t)
	changes := o.Follow(ctx)
	for range 3 {
		if err := list(ctx, newClient(t, o, "")); err != nil {
			t.Fatal(err)
		}
	}
	if n := o.Since(Mark{}).Count(); n != 0 {
		t.Errorf("%d requests are kept", n)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for c := range changes {
		ids[c.Request.ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("followed %d requests, want 3", len(ids))
	}
}

func TestDetailsOfWrites(t *testing.T) {
	for _, contentType := range contentTypes {
		t.Run(contentType, func(t *testing.T) {
			_, o := setup(t, WithDetails())
			ctx := testContext(t)
			configMaps := newClient(t, o, contentType).CoreV1().ConfigMaps("demo")
			child := configMap("")
			child.GenerateName, child.ResourceVersion = "child-", ""
			child.Labels = map[string]string{"b": "2", "a": "1"}
			child.OwnerReferences = []metav1.OwnerReference{{UID: "owner"}}
			if _, err := configMaps.Create(ctx, child, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := configMaps.Update(ctx, configMap("one"), metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := configMaps.Patch(ctx, "one", types.MergePatchType, []byte(`{"data":{}}`), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := configMaps.Get(ctx, "missing", metav1.GetOptions{}); err == nil {
				t.Fatal("got what is missing")
			}
			r := ended(t, ctx, o, Mark{}).Requests
			create, update, patch, missing := r[0], r[1], r[2], r[3]
			want := &Meta{Namespace: "demo", GenerateName: "child-", Labels: "a=1,b=2", Owner: "owner"}
			if diff := cmp.Diff(want, create.Sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if create.Got == nil || create.Got.Name != "created" || create.SentBytes == 0 {
				t.Errorf("created %+v with %d bytes", create.Got, create.SentBytes)
			}
			if update.Sent.ResourceVersion != "8" || update.Got.ResourceVersion != "8" || patch.Got.Name != "one" {
				t.Errorf("update %+v, %+v; patch %+v", update.Sent, update.Got, patch.Got)
			}
			if missing.Got != nil || missing.Hash != 0 {
				t.Errorf("a 404 was taken for the object %+v", missing.Got)
			}
		})
	}
}

func TestDetailsOfReads(t *testing.T) {
	f, o := setup(t, WithDetails())
	ctx := testContext(t)
	clientset := newClient(t, o, "")
	for range 2 {
		if err := list(ctx, clientset); err != nil {
			t.Fatal(err)
		}
	}
	f.items++
	if err := list(ctx, clientset); err != nil {
		t.Fatal(err)
	}
	r := ended(t, ctx, o, Mark{}).Requests
	if r[0].Hash == 0 || r[0].Hash != r[1].Hash || r[0].Hash == r[2].Hash {
		t.Errorf("hashes %d, %d, %d: want two alike and one of its own", r[0].Hash, r[1].Hash, r[2].Hash)
	}
}

// TestDetailsOfWhatIsNoWholeObject: a status is no object, and half an answer is not to be compared.
func TestDetailsOfWhatIsNoWholeObject(t *testing.T) {
	if m := readMeta("application/json", []byte(`{"kind":"Status","metadata":{"resourceVersion":"9"}}`)); m != nil {
		t.Errorf("a status was taken for the object %+v", m)
	}
	_, o := setup(t, WithDetails())
	o.Inject(Match{Verb: "list"}, Truncate(10))
	ctx := testContext(t)
	if err := list(ctx, newClient(t, o, "")); err != nil { // which does not look into the answer
		t.Fatal(err)
	}
	if r := ended(t, ctx, o, Mark{}).Requests[0]; r.Hash != 0 || r.Bytes != 10 {
		t.Errorf("hash %d of %d bytes", r.Hash, r.Bytes)
	}
}

func TestErrorCodeOfAWatch(t *testing.T) {
	for _, contentType := range contentTypes {
		_, o := setup(t, WithDetails())
		ctx := testContext(t)
		o.Inject(Match{Verb: "watch"}, ExpireAfterEvents(0))
		startWatch(t, ctx, newClient(t, o, contentType))
		r := ended(t, ctx, o, Mark{}).Requests[0]
		if r.ErrorCode != http.StatusGone || r.EndedBy != ByFault {
			t.Errorf("%s: code %d, ended by %s", contentType, r.ErrorCode, r.EndedBy)
		}
	}
}

func TestSaysWhyThereIsNoAnswer(t *testing.T) {
	f, o := setup(t)
	f.CloseClientConnections()
	f.Close()
	ctx := testContext(t)
	if err := list(ctx, newClient(t, o, "")); err == nil {
		t.Fatal("a server that is gone has answered")
	}
	r := ended(t, ctx, o, Mark{}).Requests[0]
	if r.EndedBy != ByLoss || !strings.Contains(r.Failure, "connection refused") {
		t.Errorf("ended by %q: %q", r.EndedBy, r.Failure)
	}
}

// TestUpgradesPass: exec, attach and port-forward turn their connection into one of another
// protocol, which HTTP/2 cannot, so the server here offers that, too.
func TestUpgradesPass(t *testing.T) {
	for _, protocol := range []string{"websocket", "SPDY/3.1"} {
		t.Run(protocol, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer "+ownToken || r.Header.Get("Upgrade") != protocol {
					http.Error(w, "not so", http.StatusForbidden)
					return
				}
				conn, in, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
				_, _ = io.Copy(conn, in)
			}))
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			o, err := Start(&rest.Config{Host: server.URL, BearerToken: ownToken,
				TLSClientConfig: rest.TLSClientConfig{CAData: ca}}, WithDetails())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = o.Close() }()

			config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
			conn, err := tls.Dial("tcp", strings.TrimPrefix(o.URL(), "https://"), config)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			fmt.Fprintf(conn, "POST /api/v1/namespaces/demo/pods/web/exec?command=ls HTTP/1.1\r\nHost: x\r\n"+
				"Authorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\nContent-Length: 0\r\n\r\n", o.token, protocol)
			in := bufio.NewReader(conn)
			head, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = head.Body.Close()
			if head.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("status %d, want 101", head.StatusCode)
			}
			fmt.Fprint(conn, "hello\n")
			if echo, err := in.ReadString('\n'); err != nil || echo != "hello\n" {
				t.Errorf("echo %q, %v", echo, err)
			}
			r := o.Since(Mark{}).Requests[0]
			if r.Subresource != "exec" || r.Status != http.StatusSwitchingProtocols || !r.Open {
				t.Errorf("recorded as %s", r)
			}
		})
	}
}

// TestMetaOfATable: kubectl asks for objects as rows of a table.
func TestMetaOfATable(t *testing.T) {
	row := `{"cells":["app",1],"object":{"kind":"PartialObjectMetadata","metadata":{"name":"app","namespace":"demo","resourceVersion":"9"}}}`
	table := func(rows string) []byte {
		return []byte(`{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"12"},"rows":[` + rows + `]}`)
	}
	if m := readMeta("application/json;as=Table", table(row)); m == nil || m.Name != "app" || m.ResourceVersion != "9" {
		t.Errorf("one row: %+v", m)
	}
	if m := readMeta("application/json;as=Table", table(row+","+row)); m == nil || m.Name != "" {
		t.Errorf("two rows: %+v", m)
	}
}
