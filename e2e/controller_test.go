package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"

	"client-go-lessons/internal/observer"
)

// controllerProgram is a controller as a program: lesson 06's, or the one with controller-runtime.
type controllerProgram struct {
	name, path string
	// cutsWrites says that SIGTERM breaks off a write that is under way.
	cutsWrites bool
}

// TestController holds both programs to the same expectations. Both run as a service account that
// has the rights of lesson 06's role.yaml, as in a pod.
func TestController(t *testing.T) {
	t.Parallel()
	noteFailure(t)
	token := tokenWith(t, controllerRole(t).Rules)
	for _, program := range []controllerProgram{
		{"client-go", copiedController(t), false},
		{"controller-runtime", runtimeController(t), true},
	} {
		for name, check := range map[string]func(*testing.T, *trial){
			"makes a child, and follows changes":              followsChanges,
			"writes nothing when started again":               writesNothingAgain,
			"puts a deleted child back":                       putsBack,
			"makes one child, though the cache is late":       onceThoughLate,
			"keeps what somebody else wrote":                  keepsOthers,
			"survives deletions that it did not see":          survivesUnseen,
			"leaves alone what is not its own":                leavesOthersAlone,
			"a write that is under way when it is told to go": endsInOrder,
		} {
			t.Run(program.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				noteFailure(t)
				check(t, newTrial(t, program, token))
			})
		}
	}
}

// copiedController builds lesson 06's controller.go in an empty module: the file needs nothing of
// this workspace.
func copiedController(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"../go.mod", "../go.sum", "../lessons/06-controller/controller.go"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Base(path), strings.Replace(string(raw), "module client-go-lessons", "module mine", 1))
	}
	write("main.go", `package main

import "log"

func main() {
	if err := controllerMain(); err != nil {
		log.Fatal(err)
	}
}
`)
	path := filepath.Join(dir, "controller")
	if err := goBuild(dir, "-o", path, "."); err != nil {
		t.Fatal(err)
	}
	return path
}

func runtimeController(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "controller")
	if err := goBuild("../controller-runtime", "-o", path, "."); err != nil {
		t.Fatal(err)
	}
	return path
}

func controllerRole(t *testing.T) *rbacv1.Role {
	t.Helper()
	raw, err := os.ReadFile("../lessons/06-controller/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)
	object, _, err := codecs.UniversalDeserializer().Decode(raw, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	role, ok := object.(*rbacv1.Role)
	if !ok {
		t.Fatalf("role.yaml holds a %T", object)
	}
	return role
}

// trial is one program, in a namespace and behind an observer of its own.
type trial struct {
	controllerProgram
	ns    string
	proxy *observer.Observer
	env   []string
	cmd   *exec.Cmd
	out   *bytes.Buffer
}

func newTrial(t *testing.T, program controllerProgram, token string) *trial {
	t.Helper()
	made, err := lab.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "controller-e2e-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err := lab.client.CoreV1().Namespaces().Delete(ctx, made.Name, metav1.DeleteOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	tr := &trial{controllerProgram: program, ns: made.Name, proxy: ownObserver(t)}
	dir := t.TempDir()
	path := filepath.Join(dir, "kubeconfig")
	if err := tr.proxy.KubeconfigWithToken(path, "here", token); err != nil {
		t.Fatal(err)
	}
	tr.env = append(cleanEnv(dir), "KUBECONFIG="+path, "NAMESPACE="+made.Name,
		"KUBE_CACHE_MUTATION_DETECTOR=true")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s printed:\n%s\nobserved:\n%s", tr.name, tr.out, tr.proxy.Since(observer.Mark{}))
		}
	})
	return tr
}

// start starts the program, and returns when it has a watch.
func (tr *trial) start(t *testing.T) {
	t.Helper()
	tr.out = &bytes.Buffer{}
	tr.cmd = exec.CommandContext(t.Context(), tr.path)
	tr.cmd.Env, tr.cmd.Stdout, tr.cmd.Stderr = tr.env, tr.out, tr.out
	tr.cmd.Cancel = func() error { return tr.cmd.Process.Signal(syscall.SIGQUIT) }
	tr.cmd.WaitDelay = 10 * time.Second
	mark := tr.proxy.Mark()
	if err := tr.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tr.wait(t, mark, "a watch", func(r observer.Record) bool {
		return r.Verb("watch", "configmaps").Open().Count() > 0
	})
}

// stop ends the program as Kubernetes ends a pod's.
func (tr *trial) stop(t *testing.T) {
	t.Helper()
	if err := tr.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	tr.ended(t)
}

func (tr *trial) ended(t *testing.T) {
	t.Helper()
	if err := tr.cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", tr.name, err, tr.out)
	}
	if strings.Contains(tr.out.String(), "panic") {
		t.Errorf("%s panicked:\n%s", tr.name, tr.out)
	}
}

func (tr *trial) wait(t *testing.T, mark observer.Mark, what string, done func(observer.Record) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := tr.proxy.Wait(ctx, mark, done); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// open waits until a request with that verb is under way.
func (tr *trial) open(t *testing.T, verb string) {
	t.Helper()
	tr.wait(t, observer.Mark{}, "a "+verb+" under way", func(r observer.Record) bool {
		return r.Verb(verb, "configmaps").Open().Count() > 0
	})
}

// wantWrites compares how many writes the server has saved. A refused one, 409, does no harm: the
// program's cache may be a moment behind.
func (tr *trial) wantWrites(t *testing.T, mark observer.Mark, creates, updates int) {
	t.Helper()
	var created, updated int
	for _, r := range tr.proxy.Since(mark).Requests {
		switch {
		case r.Verb == "create" && r.Status == http.StatusCreated:
			created++
		case (r.Verb == "update" || r.Verb == "patch" || r.Verb == "delete") && r.Status == http.StatusOK:
			updated++
		}
	}
	if created != creates || updated != updates {
		t.Errorf("%d creates and %d updates are saved, want %d and %d", created, updated, creates, updates)
	}
}

// refused counts the writes of that verb that were answered with 409.
func (tr *trial) refused(verb string) int {
	return tr.proxy.Since(observer.Mark{}).Verb(verb, "configmaps").
		Where(func(r observer.Request) bool { return r.Status == http.StatusConflict }).Count()
}

// The test's own writes go past the observer.

func (tr *trial) createParent(t *testing.T, name string, keys int) {
	t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name,
		Labels: map[string]string{"summary": "wanted"}}, Data: someKeys(keys)}
	_, err := lab.client.CoreV1().ConfigMaps(tr.ns).Create(t.Context(), cm, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func someKeys(n int) map[string]string {
	data := map[string]string{}
	for i := range n {
		data[fmt.Sprintf("key-%d", i)] = "some"
	}
	return data
}

// change gets a ConfigMap, changes it and writes it.
func (tr *trial) change(t *testing.T, name string, change func(*corev1.ConfigMap)) {
	t.Helper()
	configMaps := lab.client.CoreV1().ConfigMaps(tr.ns)
	cm, err := configMaps.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	change(cm)
	if _, err := configMaps.Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (tr *trial) remove(t *testing.T, name string) {
	t.Helper()
	err := lab.client.CoreV1().ConfigMaps(tr.ns).Delete(t.Context(), name, metav1.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// child waits for the child of that parent to say so many keys, and returns it.
func (tr *trial) child(t *testing.T, parent string, keys int) (child *corev1.ConfigMap) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, limit, true,
		func(ctx context.Context) (bool, error) {
			var err error
			child, err = lab.client.CoreV1().ConfigMaps(tr.ns).Get(ctx, parent+"-summary", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil && child.Data["keys"] == strconv.Itoa(keys), err
		})
	if err != nil {
		t.Fatalf("the child of %s with %d keys: %v", parent, keys, err)
	}
	return child
}

func followsChanges(t *testing.T, tr *trial) {
	tr.createParent(t, "app", 1)
	tr.start(t)
	child := tr.child(t, "app", 1)
	if owner := metav1.GetControllerOf(child); owner == nil || owner.Name != "app" {
		t.Errorf("app does not control its child: %v", child.OwnerReferences)
	}
	tr.change(t, "app", func(cm *corev1.ConfigMap) { cm.Data = someKeys(3) })
	tr.child(t, "app", 3)
	tr.createParent(t, "late", 2)
	tr.child(t, "late", 2)
	tr.stop(t)
	tr.wantWrites(t, observer.Mark{}, 2, 1)
	// The role gives no right that it does not use, but for the second rule, and the list that an
	// informer falls back to, and the live read.
	used := map[right]bool{}
	for _, r := range tr.proxy.Since(observer.Mark{}).Verb("", "configmaps").Requests {
		used[right{r.Verb, r.Resource}] = true
		if r.Verb == "watch" && r.Query.Get("labelSelector") != "summary" {
			t.Errorf("it watches what it does not need: %s?%s", r, r.Query.Encode())
		}
	}
	for _, verb := range []string{"watch", "create", "update"} {
		if !used[right{verb, "configmaps"}] {
			t.Errorf("no %s", verb)
		}
	}
}

func writesNothingAgain(t *testing.T, tr *trial) {
	for i := range 5 {
		tr.createParent(t, fmt.Sprintf("app-%d", i), i)
	}
	tr.start(t)
	for i := range 5 {
		tr.child(t, fmt.Sprintf("app-%d", i), i)
	}
	tr.stop(t)
	mark := tr.proxy.Mark()
	tr.start(t)
	tr.createParent(t, "marker", 1) // told of after all the others
	tr.child(t, "marker", 1)
	// The child is there before the program has the answer, and a stop may cut the answer off.
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, limit, true,
		func(context.Context) (bool, error) {
			return tr.proxy.Since(mark).Where(func(r observer.Request) bool {
				return r.Verb == "create" && r.Status == http.StatusCreated
			}).Count() > 0, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	tr.stop(t)
	tr.wantWrites(t, mark, 1, 0)
}

func putsBack(t *testing.T, tr *trial) {
	tr.createParent(t, "app", 1)
	tr.start(t)
	first := tr.child(t, "app", 1)
	tr.remove(t, "app-summary")
	if again := tr.child(t, "app", 1); again.UID == first.UID {
		t.Error("the child was not deleted")
	}
	tr.stop(t)
	tr.wantWrites(t, observer.Mark{}, 2, 0)
}

// onceThoughLate loses the answer to the first create, and holds all watch events back meanwhile:
// the program has no way to know of its child.
func onceThoughLate(t *testing.T, tr *trial) {
	events, sent, answered := observer.NewGate(), observer.NewGate(), observer.NewGate()
	events.Open()
	create := observer.Match{Verb: "create", Resource: "configmaps", From: 1, To: 1}
	tr.proxy.Inject(observer.Match{Verb: "watch", Resource: "configmaps"}, observer.HoldBody(events))
	tr.proxy.Inject(create, observer.HoldAnswer(answered))
	tr.proxy.Inject(create, observer.HoldRequest(sent))
	tr.createParent(t, "app", 1)
	tr.start(t)
	tr.open(t, "create")
	events.Shut()
	sent.Open()
	child := tr.child(t, "app", 1)
	tr.proxy.Abort(func(r observer.Request) bool { return r.Verb == "create" })
	tr.wait(t, observer.Mark{}, "a live read after a refusal", func(r observer.Record) bool {
		return r.Verb("get", "configmaps").Count() > 0
	})
	events.Open()
	tr.createParent(t, "marker", 1)
	tr.child(t, "marker", 1)
	tr.stop(t)
	if again := tr.child(t, "app", 1); again.ResourceVersion != child.ResourceVersion {
		t.Error("the child was written again, though it was right")
	}
	if tr.refused("create") == 0 {
		t.Error("no create was refused, so the cache was not late")
	}
	tr.wantWrites(t, observer.Mark{}, 1, 0) // the marker's child: the first answer was lost
}

// keepsOthers has somebody else change the child while the program's update is under way.
func keepsOthers(t *testing.T, tr *trial) {
	sent := observer.NewGate()
	tr.proxy.Inject(observer.Match{Verb: "update", Resource: "configmaps", From: 1, To: 1},
		observer.HoldRequest(sent))
	tr.createParent(t, "app", 1)
	tr.start(t)
	tr.child(t, "app", 1)
	tr.change(t, "app", func(cm *corev1.ConfigMap) { cm.Data = someKeys(2) })
	tr.open(t, "update")
	tr.change(t, "app-summary", func(cm *corev1.ConfigMap) {
		cm.Annotations = map[string]string{"note": "somebody else's"}
	})
	sent.Open()
	child := tr.child(t, "app", 2)
	tr.stop(t)
	if child.Annotations["note"] == "" {
		t.Error("what somebody else wrote is gone")
	}
	if tr.refused("update") == 0 {
		t.Error("no update was refused, so nobody interfered")
	}
	tr.wantWrites(t, observer.Mark{}, 1, 1)
}

// survivesUnseen deletes a child and a parent while the watch is broken, and lets the server forget
// where the watch was.
func survivesUnseen(t *testing.T, tr *trial) {
	back := observer.NewGate()
	second := observer.Match{Verb: "watch", Resource: "configmaps", From: 2, To: 2}
	// The observer sees no events in a compressed stream, and this fault avoids compression.
	tr.proxy.Inject(observer.Match{Verb: "watch", Resource: "configmaps"}, observer.OnlyEvents(
		watch.Added, watch.Modified, watch.Deleted, watch.Bookmark, watch.Error))
	tr.proxy.Inject(second, observer.HoldRequest(back))
	tr.proxy.Inject(second, observer.Expired())
	tr.createParent(t, "app", 1)
	tr.createParent(t, "doomed", 1)
	tr.start(t)
	first := tr.child(t, "app", 1)
	tr.child(t, "doomed", 1)
	tr.wait(t, observer.Mark{}, "both children told of", func(r observer.Record) bool {
		return r.Events()["ADDED"] >= 4
	})
	mark := tr.proxy.Mark()
	tr.proxy.Abort(func(r observer.Request) bool { return r.Verb == "watch" })
	tr.wait(t, mark, "the watch to come back", func(r observer.Record) bool {
		return r.Verb("watch", "configmaps").Count() > 0
	})
	tr.remove(t, "app-summary")
	tr.remove(t, "doomed")
	back.Open()
	tr.createParent(t, "marker", 1)
	tr.child(t, "marker", 1)
	if again := tr.child(t, "app", 1); again.UID == first.UID {
		t.Error("the child was not deleted")
	}
	tr.stop(t)
	tr.wantWrites(t, observer.Mark{}, 4, 0)
}

func leavesOthersAlone(t *testing.T, tr *trial) {
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "app-summary"}}
	theirs, err := lab.client.CoreV1().ConfigMaps(tr.ns).Create(t.Context(), theirs, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tr.createParent(t, "app", 1)
	tr.start(t)
	tr.wait(t, observer.Mark{}, "three tries", func(r observer.Record) bool {
		return r.Verb("create", "configmaps").Count() >= 3
	})
	now, err := lab.client.CoreV1().ConfigMaps(tr.ns).Get(t.Context(), "app-summary", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if now.ResourceVersion != theirs.ResourceVersion {
		t.Error("somebody else's ConfigMap was changed")
	}
	tr.remove(t, "app-summary")
	tr.child(t, "app", 1)
	tr.stop(t)
}

// endsInOrder shows the one difference that the test found: on SIGTERM, lesson 06 finishes the write
// that is under way, and controller-runtime v0.25.2 breaks it off. Neither loses the child for good.
func endsInOrder(t *testing.T, tr *trial) {
	sent := observer.NewGate()
	tr.proxy.Inject(observer.Match{Verb: "create", Resource: "configmaps", From: 1, To: 1},
		observer.HoldRequest(sent))
	tr.createParent(t, "app", 1)
	tr.start(t)
	tr.open(t, "create")
	if err := tr.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	tr.wait(t, observer.Mark{}, "the watch to end", func(r observer.Record) bool {
		return r.Verb("watch", "configmaps").Open().Count() == 0
	})
	if tr.cutsWrites {
		tr.wait(t, observer.Mark{}, "the write to be cut", func(r observer.Record) bool {
			return r.Verb("create", "configmaps").Open().Count() == 0
		})
	}
	sent.Open()
	tr.ended(t)
	finished := 1
	if tr.cutsWrites {
		finished = 0
	}
	tr.wantWrites(t, observer.Mark{}, finished, 0)
	tr.start(t)
	tr.child(t, "app", 1)
	tr.stop(t)
}
