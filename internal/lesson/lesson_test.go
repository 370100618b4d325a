package lesson

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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

func threeSteps(ran *[]int) Lesson {
	step := func(n int) func(context.Context, *Run) error {
		return func(context.Context, *Run) error { *ran = append(*ran, n); return nil }
	}
	return Lesson{Name: "09-test", Title: "A test", Steps: []Step{
		{Title: "one", Run: step(1)},
		{Title: "two", Claims: "N2", Run: step(2)},
		{Title: "three", Run: step(3), Needs: []int{1}},
	}}
}

func TestStepsRunInOrderWithWhatTheyNeed(t *testing.T) {
	for asked, want := range map[int]string{0: "[1 2 3]", 2: "[2]", 3: "[1 3]"} {
		var ran []int
		var out bytes.Buffer
		r := &Run{out: &printer{w: &out}}
		if err := r.steps(t.Context(), threeSteps(&ran), options{step: asked}, nil); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(ran); got != want {
			t.Errorf("-step %d ran %s, want %s", asked, got, want)
		}
	}
}

func TestPauseWaitsBeforeEachStepAndBeforeTheEnd(t *testing.T) {
	var ran []int
	var out bytes.Buffer
	r := &Run{out: &printer{w: &out}}
	l := threeSteps(&ran)
	l.Sum = func(r *Run) { r.Say("done") }
	if err := r.steps(t.Context(), l, options{pause: true}, bufio.NewReader(strings.NewReader("\n\n\n\n"))); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), pausePrompt); n != 4 {
		t.Errorf("%d prompts, want 4:\n%s", n, &out)
	}
	if !strings.HasSuffix(out.String(), "docs/09-test.md\n") {
		t.Errorf("the end does not lead to the lesson's page:\n%s", &out)
	}
}

// TestPauseNeedsSomebody: where the input ends, the lesson goes on without asking for Enter.
func TestPauseNeedsSomebody(t *testing.T) {
	var ran []int
	var out bytes.Buffer
	r := &Run{out: &printer{w: &out}}
	err := r.steps(t.Context(), threeSteps(&ran), options{pause: true}, bufio.NewReader(strings.NewReader("")))
	if err != nil || len(ran) != 3 {
		t.Fatalf("ran %v: %v", ran, err)
	}
	if n := strings.Count(out.String(), pausePrompt); n != 1 {
		t.Errorf("%d prompts, want 1:\n%s", n, &out)
	}
}

// TestTimeoutNamesTheStep: a step that hangs ends with the deadline, and the error says which it was.
func TestTimeoutNamesTheStep(t *testing.T) {
	r := &Run{out: &printer{w: &bytes.Buffer{}}}
	l := Lesson{Name: "09-test", Steps: []Step{
		{Title: "quick", Run: func(context.Context, *Run) error { return nil }},
		{Title: "stuck", Run: func(ctx context.Context, _ *Run) error { <-ctx.Done(); return ctx.Err() }},
	}}
	err := r.steps(t.Context(), l, options{timeout: 200 * time.Millisecond}, nil)
	if err == nil {
		t.Fatal("no error")
	}
	if text := explain(err); !strings.Contains(text, `step 2, "stuck"`) || !strings.Contains(text, "make status") {
		t.Errorf("the error does not name the step that hung: %s", text)
	}
}

func TestCloseRunsAfterAFailedStep(t *testing.T) {
	closed := false
	r := &Run{out: &printer{w: &bytes.Buffer{}}}
	l := Lesson{Name: "09-test", Close: func() { closed = true }, Steps: []Step{
		{Title: "bad", Run: func(context.Context, *Run) error { return errors.New("no") }}}}
	if err := r.steps(t.Context(), l, options{}, nil); err == nil || !closed {
		t.Errorf("error %v, closed %v", err, closed)
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		says string // on stderr, when it is wrong
	}{
		{"", ""},
		{"-step 3 -keep -pause -context kind", ""},
		{"-step 4", "no step 4"},
		{"-step -1", "from 1 to 3"},
		{"-step 0", "from 1 to 3"},
		{"-step x", "invalid value"},
		{"-timeout -1s", "negative"},
		{"something", "flags only"},
		{"-unknown", "not defined"},
	} {
		var ran []int
		var errs bytes.Buffer
		_, err := parseFlags(threeSteps(&ran), strings.Fields(c.args), &errs)
		if (err != nil) != (c.says != "") || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%q: error %v, says %q, want %q", c.args, err, errs.String(), c.says)
		}
	}
}

func TestTheDeadlineIsTwoMinutesButNoneWithPause(t *testing.T) {
	for args, want := range map[string]time.Duration{
		"": 2 * time.Minute, "-timeout 5s": 5 * time.Second, "-pause": 0, "-pause -timeout 5s": 5 * time.Second} {
		o, err := parseFlags(Lesson{Name: "09-test"}, strings.Fields(args), &bytes.Buffer{})
		if err != nil || o.timeout != want {
			t.Errorf("%q: %s, %v; want %s", args, o.timeout, err, want)
		}
	}
}

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

func TestOnThisMachine(t *testing.T) {
	for server, want := range map[string]bool{
		"https://127.0.0.1:6443": true, "https://[::1]:6443": true, "https://localhost:6443": true,
		"127.0.0.5:80": true, "https://192.0.2.1:6443": false, "https://10.0.0.1": false,
		"https://127.0.0.1.example.invalid": false, "https://no-such-host.invalid": false, "": false,
	} {
		if got := onThisMachine(server); got != want {
			t.Errorf("%q: %v, want %v", server, got, want)
		}
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
	s := &scratch{clientset: client}
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
		"lacks that right": apierrors.NewForbidden(gr, "app", errors.New("no")),
		"may have expired": apierrors.NewUnauthorized("who?"),
		"make status":      context.DeadlineExceeded,
		"Error: plain":     errors.New("plain"),
		"in a moment":      apierrors.NewTooManyRequestsError("busy"),
		"Start it":         &advice{"nothing there", "Start it"},
		"List again":       apierrors.NewResourceExpired("too old resource version"),
		"clock is ahead":   x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired},
		"likely behind": x509.CertificateInvalidError{
			Cert: &x509.Certificate{NotBefore: time.Now().Add(time.Hour)}, Reason: x509.Expired},
	} {
		text := explain(fmt.Errorf("step 1: %w", err))
		if !strings.Contains(text, strings.TrimPrefix(want, "Error: ")) || strings.Count(text, "\n") > 1 {
			t.Errorf("%v: %q does not say %q in two lines at most", err, text, want)
		}
	}
}

func TestAClosedOutputEndsTheRun(t *testing.T) {
	told := false
	p := &printer{w: closedWriter{}, fail: func() { told = true }}
	p.lines("", "anything")
	if !told {
		t.Error("nobody was told")
	}
}

type closedWriter struct{}

func (closedWriter) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }

func TestLeaksSeesWhatWasLeftBehind(t *testing.T) {
	entered, stop, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		leftBehind(entered, stop)
	}()
	<-entered // before that its stack does not name leftBehind
	if !strings.Contains(leaks(), "leftBehind") {
		t.Error("a goroutine that waits in code of ours is not seen")
	}
	close(stop)
	<-ended
	if strings.Contains(leaks(), "leftBehind") {
		t.Error("a goroutine that has returned is still seen")
	}
}

func leftBehind(entered, stop chan struct{}) {
	close(entered)
	<-stop
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 160 * time.Nanosecond: "0.16 µs", 1500 * time.Nanosecond: "1.5 µs",
		42 * time.Microsecond: "42 µs", 3100 * time.Microsecond: "3.1 ms", 41 * time.Millisecond: "41 ms",
		999 * time.Millisecond: "1.0 s", 2 * time.Second: "2.0 s", 61 * time.Second: "61 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func ExampleRun_Table() {
	r := &Run{out: &printer{w: os.Stdout}}
	r.Table(
		[]any{"read", "requests", "answered from"},
		[]any{"Get", 1, "etcd"},
		[]any{"List", 12, "watch cache"},
	)
	// Output:
	//    read   requests   answered from
	//    Get           1   etcd
	//    List         12   watch cache
}

func ExampleDuration() {
	fmt.Println(Duration(1999*time.Millisecond), Duration(3070*time.Microsecond))
	// Output: 2.0 s 3.1 ms
}
