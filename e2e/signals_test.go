package e2e

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"client-go-lessons/internal/observer"
)

// farewell is the last line of a lesson that was interrupted.
var farewell = regexp.MustCompile(`^Interrupted\.( Namespace \S+ is (being )?deleted.*\.)?$`)

// TestCtrlC presses Ctrl-C at moments spread over each lesson's requests. Wherever it is: the shell's
// exit code, the namespace deleted, nothing after the farewell.
func TestCtrlC(t *testing.T) {
	moments := 6
	if slow() {
		moments = 20
	}
	t.Parallel()
	for _, name := range lessonNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			noteFailure(t)
			proxy := ownObserver(t)
			runLesson(t, name, runOptions{proxy: proxy})
			requests := proxy.Since(observer.Mark{}).Count()

			var all sync.WaitGroup
			var mu sync.Mutex
			interrupted := 0
			for i := range moments {
				seats <- struct{}{}
				all.Go(func() {
					defer func() { <-seats }()
					at := 1 + i*(requests-1)/(moments-1)
					code := runInterrupted(t, name, at)
					mu.Lock()
					defer mu.Unlock()
					if code == 130 {
						interrupted++
					}
				})
			}
			all.Wait()
			if interrupted < moments*2/3 { // a signal at the very end may come too late
				t.Errorf("%d of %d runs were interrupted, want two thirds at least", interrupted, moments)
			}
		})
	}
}

func runInterrupted(t *testing.T, name string, at int) (code int) {
	proxy := ownObserver(t)
	var stderr strings.Builder
	run, err := tryLesson(t, name, runOptions{proxy: proxy, stderr: &stderr, signal: os.Interrupt, at: at})
	record := proxy.Since(observer.Mark{})
	found := problems(t, run, stderr.String(), record, 0)
	said := ownWords(stderr.String())
	switch {
	case err != nil:
		found = append(found, err.Error())
	case run.Code == 130 && (len(said) != 1 || !farewell.MatchString(said[0])):
		found = append(found, "its farewell is not one")
	case run.Code != 130 && run.Code != 0:
		found = append(found, "it ends with another exit code than 130")
	}
	made, deleted := record.Verb("create", "namespaces").Count(), record.Verb("delete", "namespaces").Count()
	if made != deleted {
		found = append(found, "it does not delete what it made")
	}
	if len(found) > 0 {
		t.Errorf("at request %d, exit code %d: %s\n%s\n%s", at, run.Code, strings.Join(found, "; "),
			tail(run.Output, 15), stderr.String())
	}
	return run.Code
}

// TestKill ends lessons by SIGKILL: nothing can be cleaned up then. The next run removes their
// namespaces once they are an hour old by the server's clock, and none that is younger, which may be
// a neighbor's.
func TestKill(t *testing.T) {
	t.Parallel()
	noteFailure(t)
	var leftovers []string
	for _, name := range lessonNames() {
		proxy := ownObserver(t)
		const at = 10 // the namespace is there
		run, err := tryLesson(t, name, runOptions{proxy: proxy, signal: os.Kill, at: at})
		left := slices.Collect(maps.Keys(namespacesOf(proxy.Since(observer.Mark{}))))
		if err != nil || run.Code != -1 || len(left) != 1 {
			t.Fatalf("%s: %v, exit code %d, namespaces %v\n%s", name, err, run.Code, left, run.Output)
		}
		leftovers = append(leftovers, left...)
		t.Cleanup(func() {
			_ = lab.client.CoreV1().Namespaces().Delete(context.Background(), left[0], metav1.DeleteOptions{})
		})
	}
	for _, c := range []struct {
		age  time.Duration // what the lesson is told
		gone bool
	}{{0, false}, {59 * time.Minute, false}, {61 * time.Minute, true}} {
		proxy := ownObserver(t)
		if c.age > 0 {
			proxy.Inject(observer.Match{Verb: "list", Resource: "namespaces"}, aged(leftovers, c.age))
		}
		// A lesson spends three seconds on it. What a busy server does not delete in that time is
		// left to the next run.
		removed := map[string]bool{}
		for range leftovers {
			runLesson(t, "01-direct", runOptions{proxy: proxy, args: []string{"-step", "list"}})
			for _, leftover := range leftovers {
				ns, err := lab.client.CoreV1().Namespaces().Get(t.Context(), leftover, metav1.GetOptions{})
				removed[leftover] = apierrors.IsNotFound(err) || err == nil && ns.DeletionTimestamp != nil
			}
			if !c.gone || !slices.Contains(slices.Collect(maps.Values(removed)), false) {
				break
			}
		}
		for name, gone := range removed {
			if gone != c.gone {
				t.Errorf("%s, left %s ago: removed = %t, want %t", name, c.age, gone, c.gone)
			}
		}
	}
}

// aged makes a List show objects older than they are: a server keeps the true time to itself.
func aged(names []string, age time.Duration) observer.Fault {
	return observer.NewFault("aged", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Accept-Encoding")
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, r)
			body := answer.Body.Bytes()
			object, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
			if list, ok := object.(*corev1.NamespaceList); err == nil && ok {
				for i := range list.Items {
					if slices.Contains(names, list.Items[i].Name) {
						list.Items[i].CreationTimestamp = metav1.NewTime(time.Now().Add(-age))
					}
				}
				info, _ := k8sruntime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), k8sruntime.ContentTypeJSON)
				encoder := scheme.Codecs.EncoderForVersion(info.Serializer, corev1.SchemeGroupVersion)
				if body, err = k8sruntime.Encode(encoder, list); err == nil {
					answer.Header().Set("Content-Type", k8sruntime.ContentTypeJSON)
				}
			}
			answer.Header().Del("Content-Length")
			maps.Copy(w.Header(), answer.Header())
			w.WriteHeader(answer.Code)
			_, _ = w.Write(body)
		})
	})
}

// TestEightLearners runs each lesson twice, all at the same time on one server.
func TestEightLearners(t *testing.T) {
	slowTest(t)
	noteFailure(t)
	seen := map[string]bool{}
	for _, run := range together(t, append(lessonNames(), lessonNames()...), func(string) bool { return false }, nil) {
		if run.Code != 0 {
			t.Errorf("lesson %s: exit code %d\n%s", run.Name, run.Code, run.Output)
		}
		if seen[run.Namespace] {
			t.Errorf("two lessons shared namespace %s", run.Namespace)
		}
		seen[run.Namespace] = true
		namespaceGoes(t, run.Namespace)
	}
}
