package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"client-go-lessons/internal/observer"
)

// TestWhatTheLearnerIsTold starts lessons where they cannot work. Each must end with exit code 1
// and one or two lines that say what failed and what to do, and leave nothing behind.
func TestWhatTheLearnerIsTold(t *testing.T) {
	token := tokenOf(t, []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"create", "delete"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create", "get"}},
	})
	for _, c := range []struct {
		name  string
		setup func(t *testing.T, dir string) (args, env []string)
		says  []string // all of which must be in the two lines
	}{
		{"there is no cluster", func(*testing.T, string) (args, env []string) {
			return nil, nil
		}, []string{"no cluster", "make up"}},

		{"the kubeconfig that was named is not there", func(*testing.T, string) (args, env []string) {
			return []string{"-kubeconfig", "nowhere"}, nil
		}, []string{"-kubeconfig nowhere", "no such file"}},

		{"$KUBECONFIG names nothing", func(_ *testing.T, dir string) (args, env []string) {
			return nil, []string{"KUBECONFIG=" + filepath.Join(dir, "nowhere")}
		}, []string{"$KUBECONFIG", "make up"}},

		{"the cluster is dead", func(t *testing.T, dir string) (args, env []string) {
			listener, err := net.Listen("tcp", "127.0.0.1:0") // a port that was free a moment ago
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			return kubeconfigFor(t, dir, "https://"+listener.Addr().String()), nil
		}, []string{"connection refused", "make up"}},

		{"the cluster is not on this machine", func(t *testing.T, dir string) (args, env []string) {
			return kubeconfigFor(t, dir, "https://192.0.2.1:6443"), nil
		}, []string{"192.0.2.1", "not on this machine", "-context"}},

		{"the context is unknown", func(t *testing.T, dir string) (args, env []string) {
			return append(kubeconfigFor(t, dir, "https://127.0.0.1:1"), "-context", "elsewhere"), nil
		}, []string{`no context "elsewhere"`, "It has: here"}},

		{"the user may not list ConfigMaps", func(t *testing.T, dir string) (args, env []string) {
			path := filepath.Join(dir, "kubeconfig")
			if err := lab.observer.KubeconfigWithToken(path, "here", token); err != nil {
				t.Fatal(err)
			}
			return []string{"-kubeconfig", path}, nil
		}, []string{"forbidden", "list", "configmaps", "right"}},

		{"something else answers at that address", func(t *testing.T, dir string) (args, env []string) {
			return kubeconfigFor(t, dir, lab.observer.URL()), nil
		}, []string{"certificate", "make down up"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			noteFailure(t)
			for _, name := range lessonNames() {
				dir := t.TempDir()
				args, env := c.setup(t, dir)
				code, stdout, stderr := runPlain(t, binary(t, name), dir, args, env)
				if code != 1 {
					t.Errorf("%s: exit code %d, want 1", name, code)
				}
				said := 0 // by the lesson; an informer that ends may log a line of client-go's own
				for line := range strings.Lines(strings.TrimSpace(stderr)) {
					if !logLine.MatchString(line) {
						said++
					}
				}
				if said > 2 {
					t.Errorf("%s: %d lines, want one or two:\n%s", name, said, stderr)
				}
				for _, want := range c.says {
					if !strings.Contains(stderr, want) {
						t.Errorf("%s: the error does not say %q:\n%s", name, want, stderr)
					}
				}
				if strings.Contains(stdout+stderr, token) {
					t.Errorf("%s shows the token", name)
				}
				if strings.Contains(stderr, "goroutine ") {
					t.Errorf("%s: a stack trace:\n%s", name, stderr)
				}
				if i := strings.Index(stdout, "namespace  "); i >= 0 {
					namespaceGoes(t, strings.TrimSuffix(strings.Fields(stdout[i:])[1], ","))
				}
			}
		})
	}
}

// TestHelp checks that -h explains each lesson and that misuse points to it.
func TestHelp(t *testing.T) {
	for _, name := range lessonNames() {
		code, _, stderr := runPlain(t, binary(t, name), t.TempDir(), []string{"-h"}, nil)
		for _, want := range []string{"Steps:", "-kubeconfig", "-pause", "-step", "go run ./lessons/" + name} {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s -h does not speak of %q:\n%s", name, want, stderr)
			}
		}
		for line := range strings.Lines(strings.ReplaceAll(stderr, "\t", "        ")) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s -h: a line of %d columns, 80 at most: %s", name, n, line)
			}
		}
		if code != 0 {
			t.Errorf("%s -h: exit code %d, want 0", name, code)
		}
		for _, args := range [][]string{{"-step", "99"}, {"extra"}, {"-nonsense"}} {
			if code, _, stderr := runPlain(t, binary(t, name), t.TempDir(), args, nil); code != 2 || stderr == "" {
				t.Errorf("%s %v: exit code %d, want 2 and a message: %q", name, args, code, stderr)
			}
		}
	}
}

// TestStepsRunAlone runs each step of each lesson by itself. They run side by side, as those of
// several learners on one cluster would.
func TestStepsRunAlone(t *testing.T) {
	for _, name := range lessonNames() {
		_, _, help := runPlain(t, binary(t, name), t.TempDir(), []string{"-h"}, nil)
		for _, m := range regexp.MustCompile(`(?m)^ +\d+  (\S+) +(\S.*)$`).FindAllStringSubmatch(help, -1) {
			t.Run(name+" -step "+m[1], func(t *testing.T) {
				t.Parallel()
				alone := runLesson(t, name, runOptions{args: []string{"-step", m[1]}})
				if n := len(alone.Steps); n == 0 || alone.Steps[n-1].Title != m[2] {
					t.Errorf("it does not end with %q:\n%s", m[2], alone.Output)
				}
				namespaceGoes(t, alone.Namespace)
			})
		}
	}
}

// TestInterrupt ends lessons by Ctrl-C in the middle: they must end with the shell's exit code for
// that, and their namespace must go.
func TestInterrupt(t *testing.T) {
	for _, name := range lessonNames() {
		t.Run(name, func(t *testing.T) {
			noteFailure(t)
			var process *os.Process
			run, err := tryLesson(t, name, runOptions{
				started: func(p *os.Process) { process = p },
				before: func(n int) {
					if n == 2 {
						_ = process.Signal(os.Interrupt)
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if run.Code != 130 {
				t.Errorf("exit code %d, want 130:\n%s", run.Code, run.Output)
			}
			namespaceGoes(t, run.Namespace)
		})
	}
}

// TestInterruptLeavesNothingUnsaid: where the namespace cannot be deleted, the farewell says so and
// how to remove it, and does not claim the contrary.
func TestInterruptLeavesNothingUnsaid(t *testing.T) {
	noteFailure(t)
	allow := lab.observer.Inject(observer.Match{Verb: "delete", Resource: "namespaces"}, observer.Forbidden())
	defer allow()
	var process *os.Process
	run, err := tryLesson(t, "01-direct", runOptions{
		started: func(p *os.Process) { process = p },
		before: func(n int) {
			if n == 2 {
				_ = process.Signal(os.Interrupt)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := " delete namespace " + run.Namespace
	if run.Code != 130 || !strings.Contains(run.Output, want) || strings.Contains(run.Output, "is deleted") {
		t.Errorf("exit code %d, want 130 and %q:\n%s", run.Code, want, run.Output)
	}
	if err := lab.client.CoreV1().Namespaces().Delete(t.Context(), run.Namespace, metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}

// TestClosedOutput runs lessons whose output nobody reads to the end, as with `| head -1`. They have
// nothing to complain of, and clean up.
func TestClosedOutput(t *testing.T) {
	for _, name := range lessonNames() {
		t.Run(name, func(t *testing.T) {
			noteFailure(t)
			proxy, dir := ownObserver(t), t.TempDir()
			path := filepath.Join(dir, "kubeconfig")
			if err := proxy.Kubeconfig(path, "here"); err != nil {
				t.Fatal(err)
			}
			var errs strings.Builder
			cmd := exec.CommandContext(t.Context(), binary(t, name), "-kubeconfig", path)
			cmd.Env, cmd.Stderr = cleanEnv(dir), &errs
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := out.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			_ = out.Close()
			if err := cmd.Wait(); err != nil || errs.Len() > 0 {
				t.Errorf("%v, want exit code 0 and no message: %q", err, errs.String())
			}
			record := proxy.Since(observer.Mark{})
			made, gone := record.Verb("create", "namespaces"), record.Verb("delete", "namespaces")
			if made.Count() != 1 || gone.Count() != 1 {
				t.Errorf("made %d namespaces and deleted %d, want 1 and 1\n%s", made.Count(), gone.Count(), record)
			}
		})
	}
}

// TestLeftovers checks that a run removes what killed runs left more than an hour ago, and nothing
// else: a younger namespace may be a neighbor's.
func TestLeftovers(t *testing.T) {
	noteFailure(t)
	young, err := lab.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "lesson-01-", Labels: map[string]string{"client-go-lessons/lesson": "01-direct"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = lab.client.CoreV1().Namespaces().Delete(context.Background(), young.Name, metav1.DeleteOptions{})
	})
	runLesson(t, "01-direct", runOptions{args: []string{"-step", "1"}})
	ns, err := lab.client.CoreV1().Namespaces().Get(t.Context(), young.Name, metav1.GetOptions{})
	if err != nil || ns.DeletionTimestamp != nil {
		t.Errorf("the lesson removed a young namespace of another run: %v, %v", ns.DeletionTimestamp, err)
	}
}

// runPlain runs a lesson without -pause, and returns what it printed where.
func runPlain(t *testing.T, lesson, dir string, args, env []string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs lockedBuffer
	ctx, cancel := untilItHangs(t.Context(), out.Len)
	defer cancel()
	cmd := exec.CommandContext(ctx, lesson, append([]string{ample}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(cleanEnv(dir), env...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // shows where it hangs
	cmd.WaitDelay = 10 * time.Second
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// ample is for lessons that are to come to their end, on however busy a machine. A later -timeout wins.
const ample = "-timeout=15m"

// lockedBuffer can be looked at while a process writes to it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Len()
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// kubeconfigFor writes a kubeconfig of one context, here, and returns the flag that names it.
func kubeconfigFor(t *testing.T, dir, server string) []string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["here"] = &clientcmdapi.Cluster{Server: server}
	config.AuthInfos["here"] = &clientcmdapi.AuthInfo{Token: "none"}
	config.Contexts["here"] = &clientcmdapi.Context{Cluster: "here", AuthInfo: "here"}
	config.CurrentContext = "here"
	path := filepath.Join(dir, "config")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return []string{"-kubeconfig", path}
}

// tokenOf makes a service account that may do what rules say, and nothing else, and returns a token
// for it. All of it goes with the test.
func tokenOf(t *testing.T, rules []rbacv1.PolicyRule) string {
	t.Helper()
	ctx, name := t.Context(), "client-go-lessons-e2e-"+strings.ToLower(rand.Text()[:8])
	meta := metav1.ObjectMeta{Name: name}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = lab.client.RbacV1().ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{})
		_ = lab.client.RbacV1().ClusterRoles().Delete(ctx, name, metav1.DeleteOptions{})
		_ = lab.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	})
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := lab.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: meta}, metav1.CreateOptions{})
	check(err)
	_, err = lab.client.CoreV1().ServiceAccounts(name).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	check(err)
	_, err = lab.client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	check(err)
	_, err = lab.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: name}},
	}, metav1.CreateOptions{})
	check(err)
	token, err := lab.client.CoreV1().ServiceAccounts(name).CreateToken(ctx, name,
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	check(err)
	return token.Status.Token
}
