package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"client-go-lessons/internal/observer"
)

// moment is a point in a lesson's run: its n-th request, or the n-th line that it prints.
type moment struct {
	request, line int
}

func (m moment) String() string {
	if m.request > 0 {
		return fmt.Sprintf("request %d", m.request)
	}
	return fmt.Sprintf("line %d", m.line)
}

// signaled is a run that was sent a signal at a moment.
type signaled struct {
	code     int
	output   []string // of both streams, in order
	leaks    string
	record   observer.Record
	made     int // namespaces that the lesson made
	deleted  int // and deleted
	notGone  string
	problems []string
}

// TestAbuseInterrupt presses Ctrl-C at moments spread over each lesson. Wherever it is: the shell's
// exit code, the namespace gone, nothing after the farewell.
func TestAbuseInterrupt(t *testing.T) {
	moments := 6
	if slow() {
		moments = 50
	}
	t.Parallel()
	for _, name := range lessonNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			noteFailure(t)
			whole := runSignaled(t, name, nil, moment{})
			if whole.code != 0 || len(whole.problems) > 0 {
				t.Fatalf("undisturbed: exit code %d, %v\n%s", whole.code, whole.problems, strings.Join(whole.output, "\n"))
			}
			last := whole.output[len(whole.output)-1]
			requests, lines := whole.record.Count(), len(whole.output)

			var all sync.WaitGroup
			var mu sync.Mutex
			codes := map[int]int{}
			for i := range moments {
				at := moment{request: 1 + i*(requests-1)/(moments-1)}
				if i%2 == 1 { // some steps ask the server for nothing
					at = moment{line: 1 + i*(lines-1)/(moments-1)}
				}
				seats <- struct{}{}
				all.Go(func() {
					defer func() { <-seats }()
					run := runSignaled(t, name, os.Interrupt, at)
					run.checkInterrupted(last)
					mu.Lock()
					defer mu.Unlock()
					codes[run.code]++
					if len(run.problems) > 0 {
						t.Errorf("%s, exit code %d: %s\n%s\n%s", at, run.code, strings.Join(run.problems, "; "),
							tail(strings.Join(run.output, "\n"), 15), run.leaks)
					}
				})
			}
			all.Wait()
			t.Logf("%d requests, %d lines; exit codes of %d runs: %v", requests, lines, moments, codes)
			if codes[130] < moments*3/4 { // a signal at the very end may come too late
				t.Errorf("%d of %d runs were interrupted, want three quarters at least", codes[130], moments)
			}
		})
	}
}

// checkInterrupted looks at a run after SIGINT. The last line of an undisturbed run tells one that
// was over before the signal came.
func (r *signaled) checkInterrupted(lastLine string) {
	problem := func(format string, args ...any) { r.problems = append(r.problems, fmt.Sprintf(format, args...)) }
	end := ""
	if len(r.output) > 0 {
		end = r.output[len(r.output)-1]
	}
	switch want := regexp.MustCompile(`^Interrupted\. Namespace \S+ is (being )?deleted\.$`); {
	case r.code == 0 && end == lastLine:
	case r.code != 130:
		problem("exit code %d, want 130", r.code)
	case r.made == 0 && end != "Interrupted.":
		problem(`it ends with %q, want "Interrupted."`, end)
	case r.made > 0 && !want.MatchString(end):
		problem("it ends with %q, want %q", end, want)
	}
	if r.made != r.deleted {
		problem("it made %d namespaces and deleted %d", r.made, r.deleted)
	}
	if r.notGone != "" {
		problem("%s", r.notGone)
	}
	if r.leaks != "" {
		problem("goroutines are left")
	}
}

// runSignaled runs a lesson through an observer of its own and sends it the signal at that moment,
// while the request waits or the lesson goes on printing. It can be called from any goroutine.
func runSignaled(t *testing.T, name string, signal os.Signal, at moment) (r signaled) {
	problem := func(err error) signaled { r.problems = append(r.problems, err.Error()); return r }
	proxy, err := observer.Start(lab.config)
	if err != nil {
		return problem(err)
	}
	defer proxy.Close() //nolint:errcheck // what the lesson did is what counts
	dir, err := os.MkdirTemp(lab.dir, "signaled-")
	if err != nil {
		return problem(err)
	}
	config, leaks := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "leaks")
	if err := proxy.Kubeconfig(config, "here"); err != nil {
		return problem(err)
	}
	// How fast it is, is not the question here: many run at the same time.
	ctx, cancel := context.WithTimeout(t.Context(), 5*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t, name), "-kubeconfig", config, "-timeout", (5 * limit).String())
	cmd.Dir, cmd.Env = dir, append(cleanEnv(dir), "LESSON_LEAKS_FILE="+leaks)
	out, in, err := os.Pipe()
	if err != nil {
		return problem(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = in, in

	started := make(chan struct{})
	if at.request > 0 {
		match := observer.Match{From: at.request, To: at.request}
		proxy.Inject(match, observer.NewFault("signal", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				<-started
				_ = cmd.Process.Signal(signal)
				next.ServeHTTP(w, q)
			})
		}))
	}
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		return problem(err)
	}
	close(started)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		r.output = append(r.output, lines.Text())
		if len(r.output) == at.line {
			_ = cmd.Process.Signal(signal) // it may have ended just now
		}
	}
	_ = cmd.Wait()
	r.code = cmd.ProcessState.ExitCode()
	if left, err := os.ReadFile(leaks); err == nil {
		r.leaks = string(left)
	}
	r.record = proxy.Since(observer.Mark{})
	for _, q := range r.record.Verb("", "namespaces").Requests {
		switch {
		case q.Verb == "create" && q.Status == http.StatusCreated:
			r.made++
		case q.Verb == "delete" && q.Status == http.StatusOK:
			r.deleted++
			ns, err := lab.client.CoreV1().Namespaces().Get(t.Context(), q.Name, metav1.GetOptions{})
			if err == nil && ns.DeletionTimestamp == nil {
				r.notGone = "namespace " + q.Name + " is left behind"
			}
		}
	}
	return r
}

// TestAbuseKill ends lessons by SIGKILL: nothing can be cleaned up then. The next run removes their
// namespaces once they are an hour old by the server's clock, and none that is younger, which may be
// a neighbor's.
func TestAbuseKill(t *testing.T) {
	t.Parallel()
	noteFailure(t)
	var leftovers []string
	for _, name := range lessonNames() {
		killed := runSignaled(t, name, os.Kill, moment{line: 10})
		m := namespaceLine.FindStringSubmatch(strings.Join(killed.output, "\n"))
		if killed.code != -1 || m == nil {
			t.Fatalf("%s: exit code %d\n%s", name, killed.code, strings.Join(killed.output, "\n"))
		}
		leftovers = append(leftovers, m[1])
		t.Cleanup(func() {
			_ = lab.client.CoreV1().Namespaces().Delete(context.Background(), m[1], metav1.DeleteOptions{})
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
		run := <-goPlain(t, "01-direct", proxy, "", "-step", "1")
		if run.code != 0 {
			t.Fatalf("exit code %d\n%s%s", run.code, run.stdout, run.stderr)
		}
		for i, leftover := range leftovers {
			ns, err := lab.client.CoreV1().Namespaces().Get(t.Context(), leftover, metav1.GetOptions{})
			if gone := err != nil || ns.DeletionTimestamp != nil; gone != c.gone {
				t.Errorf("what %s left %s ago: removed = %t, want %t (%v)", lessonNames()[i], c.age, gone, c.gone, err)
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

// TestAbuseEightLearners runs each lesson twice, all at the same time on one server. What they count
// is their own: the numbers that a lesson alone prints still hold.
func TestAbuseEightLearners(t *testing.T) {
	slowTest(t)
	noteFailure(t)
	names := append(lessonNames(), lessonNames()...)
	runs := together(t, names, func(int) bool { return false }, nil)
	seen := map[string]bool{}
	for _, run := range runs {
		if run.Code != 0 {
			t.Errorf("lesson %s: exit code %d\n%s", run.Name, run.Code, run.Output)
			continue
		}
		if seen[run.Namespace] {
			t.Errorf("two lessons shared namespace %s", run.Namespace)
		}
		seen[run.Namespace] = true
		checkTranscript(t, run, crowdedMasks[run.Name]...)
		namespaceGoes(t, run.Namespace)
	}
}

// crowdedMasks are for what each lesson's own test masks, too.
var crowdedMasks = map[string][]mask{
	"01-direct": {
		// What the server asks of etcd is counted for all who use it, and the lesson says so.
		{regexp.MustCompile(`(?m)^   (Get|List) +"0?" .*$`), "ROW"},
		{regexp.MustCompile(`(?s)   A Get still goes to etcd\..*went to etcd as well\.` +
			`|   Kubernetes 1\.37 reads only.*Once more: -step (?:4| BYTES)`), "CONCLUSION"},
		{regexp.MustCompile(`(?m) +\d+$`), " BYTES"},
	},
	"02-watch":    {{regexp.MustCompile(`got \d+ empty events`), "got N empty events"}},
	"03-informer": {{regexp.MustCompile(`(?m)\d+ → 0$`), "GOROUTINES → 0"}},
	"04-fallback": fallbackMasks,
}

// TestAbuseReadOnlyFolder runs the lessons where they can write nothing.
func TestAbuseReadOnlyFolder(t *testing.T) {
	t.Parallel()
	noteFailure(t)
	args := []string{"-step", "1"}
	if slow() {
		args = nil
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		dir = "/proc" // root may write in spite of the mode, but nobody here
	}
	if os.Mkdir(filepath.Join(dir, "probe"), 0o700) == nil {
		t.Fatalf("%s can be written to", dir)
	}
	config := filepath.Join(t.TempDir(), "kubeconfig")
	if err := lab.observer.Kubeconfig(config, "here"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, name := range lessonNames() {
		path := binary(t, name)
		all.Go(func() {
			code, stdout, stderr := runPlain(t, path, dir, append([]string{"-kubeconfig", config}, args...), nil)
			if code != 0 || stderr != "" {
				t.Errorf("%s: exit code %d\n%s%s", name, code, stdout, stderr)
			}
		})
	}
	all.Wait()
}

// TestAbuseClock runs lessons whose clock is wrong: by an hour, which does no harm, and by more than
// the server's certificate allows, which must be said.
func TestAbuseClock(t *testing.T) {
	t.Parallel()
	slowTest(t) // the lessons, and all they import, are compiled with another package time
	noteFailure(t)
	lessons := wrongClock(t)
	young, err := lab.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "lesson-01-", Labels: map[string]string{"client-go-lessons/lesson": "01-direct"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = lab.client.CoreV1().Namespaces().Delete(context.Background(), young.Name, metav1.DeleteOptions{})
	})
	var all sync.WaitGroup
	for _, name := range lessonNames() {
		for _, c := range []struct {
			off  time.Duration
			says string // in the error, if it is to fail
		}{
			{time.Hour, ""}, {-time.Hour, ""},
			{2 * time.Hour, ""},                                   // for the young namespace
			{49 * time.Hour, "clock"}, {-49 * time.Hour, "clock"}, // the observer's certificate is good for 48 h either way
		} {
			seats <- struct{}{}
			all.Go(func() {
				defer func() { <-seats }()
				dir := t.TempDir()
				config := filepath.Join(dir, "kubeconfig")
				if err := lab.observer.Kubeconfig(config, "here"); err != nil {
					t.Error(err)
					return
				}
				env := []string{"CLOCK_OFF=" + strconv.Itoa(int(c.off.Seconds()))}
				code, stdout, stderr := runPlain(t, filepath.Join(lessons, name), dir, []string{"-kubeconfig", config}, env)
				switch {
				case c.says == "" && code != 0:
					t.Errorf("%s, %s off: exit code %d\n%s%s", name, c.off, code, stdout, stderr)
				case c.says != "" && (code != 1 || strings.Count(stderr, "\n") > 2 || !strings.Contains(stderr, c.says)):
					t.Errorf("%s, %s off: exit code %d, want 1 and two lines that speak of the %s:\n%s",
						name, c.off, code, c.says, stderr)
				}
			})
		}
	}
	all.Wait()
	ns, err := lab.client.CoreV1().Namespaces().Get(t.Context(), young.Name, metav1.GetOptions{})
	if err != nil || ns.DeletionTimestamp != nil {
		t.Errorf("a lesson whose clock is ahead removed a young namespace: %v", err)
	}
}

// wrongClock builds the lessons so that time.Now is $CLOCK_OFF seconds ahead in their processes, and
// returns their folder.
func wrongClock(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	raw, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(raw), now) != 1 {
		t.Fatalf("time.Now is another function in %s: this test has to learn it", "this Go")
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for file, text := range map[string]string{
		"time.go": strings.Replace(string(raw), now, now+"\tsec += clockOff\n", 1),
		"clockoff.go": `package time

import "syscall"

var clockOff = func() (seconds int64) {
	text, _ := syscall.Getenv("CLOCK_OFF")
	sign := int64(1)
	for _, c := range text {
		if c == '-' {
			sign = -1
			continue
		}
		seconds = seconds*10 + int64(c-'0')
	}
	return sign * seconds
}()
`,
	} {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(source, file)] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin") + string(filepath.Separator)
	if err := goBuild("..", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, "./lessons/..."); err != nil {
		t.Fatal(err)
	}
	return bin
}
