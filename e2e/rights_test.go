package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"client-go-lessons/internal/faults"
	"client-go-lessons/internal/observer"
)

// roleFile is what the README gives to people whose user lacks a right.
const roleFile = "../docs/role.yaml"

// right is one verb on one resource, or on one URL.
type right struct{ verb, on string }

func (r right) String() string { return r.verb + " " + r.on }

// optional rights are those without which a lesson says what it cannot show, if there is something
// to say, and goes on.
var optional = map[right]struct{ lesson, step, says string }{
	{"get", "namespaces"}:   {"01-direct", "list", ""},
	{"list", "namespaces"}:  {"01-direct", "list", "may not list namespaces"},
	{"list", "flowschemas"}: {"01-direct", "fairness", "may not list flow schemas"},
	{"get", "/metrics"}:     {"01-direct", "etcd", "may not read /metrics"},

	{"create", "customresourcedefinitions"}: {"05-memory", "custom", "may not add a resource"},
	{"create", "widgets"}:                   {"05-memory", "custom", "may not add a resource"},
	{"watch", "widgets"}:                    {"05-memory", "custom", "may not add a resource"},
}

// TestRights runs the lessons as users who have exactly the rights of docs/role.yaml, one right
// less, and none.
func TestRights(t *testing.T) {
	t.Parallel()
	role := readRole(t)
	used := map[string]map[right]bool{} // by lesson
	t.Run("those of docs/role.yaml are enough", func(t *testing.T) {
		noteFailure(t)
		token := tokenWith(t, role.Rules)
		observers := map[string]*observer.Observer{}
		runs := map[string]<-chan plainRun{}
		for _, name := range lessonNames() {
			observers[name] = ownObserver(t)
			runs[name] = goPlain(t, name, observers[name], token)
		}
		all := map[right]bool{}
		for name, done := range runs {
			run := <-done
			if run.code != 0 {
				t.Errorf("%s: exit code %d\n%s%s", name, run.code, run.stdout, run.stderr)
			}
			for _, o := range optional {
				if o.says != "" && strings.Contains(run.stdout, o.says) {
					t.Errorf("%s misses a right: it says %q", name, o.says)
				}
			}
			used[name] = rightsUsed(observers[name].Since(observer.Mark{}))
			maps.Copy(all, used[name])
		}
		// The file and the requests agree, verb by verb.
		given, needed := sorted(rightsIn(role.Rules)), sorted(all)
		if !slices.Equal(given, needed) {
			t.Errorf("%s gives\n%v\nand the lessons used\n%v", roleFile, given, needed)
		}
	})

	for _, gone := range slices.SortedFunc(maps.Keys(rightsIn(role.Rules)), byName) {
		t.Run("without "+gone.String(), func(t *testing.T) {
			t.Parallel()
			noteFailure(t)
			token := tokenWith(t, without(role.Rules, gone))
			if o, ok := optional[gone]; ok {
				run := <-goPlain(t, o.lesson, nil, token, "-step", o.step)
				if run.code != 0 || !strings.Contains(run.stdout, o.says) {
					t.Errorf("%s: exit code %d, want 0 and %q\n%s%s",
						o.lesson, run.code, o.says, run.stdout, run.stderr)
				}
				return
			}
			var runs []<-chan plainRun
			for _, name := range lessonNames() {
				var args []string
				if step, ok := steps[name]; ok && gone.on == "namespaces" {
					args = []string{"-step", step} // the lesson's own namespace needs no more
				}
				if used[name][gone] && (slow() || len(runs) == 0 || gone.verb == "watch") {
					runs = append(runs, goPlain(t, name, nil, token, args...))
				}
			}
			failed := 0
			for _, done := range runs {
				run := <-done
				if run.code == 0 {
					continue // its lesson asked, and did without
				}
				failed++
				run.isRefused(t, gone)
				if gone == (right{"delete", "namespaces"}) {
					err := lab.client.CoreV1().Namespaces().Delete(t.Context(), run.namespace, metav1.DeleteOptions{})
					if err != nil {
						t.Error(err)
					}
				}
			}
			if failed == 0 {
				t.Errorf("no lesson misses it: take it out of %s", roleFile)
			}
			if gone.verb == "watch" && failed < len(runs) { // an informer could live on its List, and say nothing
				t.Errorf("%d of %d lessons that watch fail without it, want all", failed, len(runs))
			}
		})
	}

	t.Run("none", func(t *testing.T) {
		t.Parallel()
		noteFailure(t)
		token := tokenOf(t, nil)
		for _, name := range lessonNames() {
			run := <-goPlain(t, name, nil, token)
			run.isRefused(t, right{"create", "namespaces"})
		}
	})
}

// steps are those of the lessons that the table of faults tries.
var steps = func() map[string]string {
	steps := map[string]string{}
	for _, c := range faults.Columns {
		steps[c.Lesson] = c.Step
	}
	return steps
}()

// isRefused fails unless the run ended with exit code 1 and one or two lines that name the right.
func (r plainRun) isRefused(t *testing.T, missing right) {
	t.Helper()
	lines := ownWords(r.stderr)
	text := strings.Join(lines, "\n")
	want := fmt.Sprintf("cannot %s resource %q", missing.verb, missing.on)
	if r.code != 1 || len(lines) < 1 || len(lines) > 2 || !strings.Contains(text, want) {
		t.Errorf("%s without %q: exit code %d, want 1 and one or two lines that say %q:\n%s",
			r.name, missing, r.code, want, r.stderr)
	}
}

// plainRun is a run of a lesson without -pause.
type plainRun struct {
	name, stdout, stderr string
	namespace            string
	code                 int
}

var namespaceLine = regexp.MustCompile(`(?m)^namespace +(\S+),`)

// goPlain starts a lesson that sends the token, "" for the administrator's credentials. Without a
// proxy it talks to the server itself.
func goPlain(t *testing.T, name string, proxy *observer.Observer, token string, args ...string) <-chan plainRun {
	t.Helper()
	path, dir := binary(t, name), t.TempDir()
	config := filepath.Join(dir, "kubeconfig")
	if proxy == nil {
		writeKubeconfig(t, config, token)
	} else if err := proxy.KubeconfigWithToken(config, "here", token); err != nil {
		t.Fatal(err)
	}
	done := make(chan plainRun, 1)
	go func() {
		run := plainRun{name: name}
		run.code, run.stdout, run.stderr = runPlain(t, path, dir, append([]string{"-kubeconfig", config}, args...), nil)
		if m := namespaceLine.FindStringSubmatch(run.stdout); m != nil {
			run.namespace = m[1]
		}
		done <- run
	}()
	return done
}

// writeKubeconfig writes one for the server itself and the token.
func writeKubeconfig(t *testing.T, path, token string) {
	t.Helper()
	ca := lab.config.CAData
	if len(ca) == 0 {
		var err error
		if ca, err = os.ReadFile(lab.config.CAFile); err != nil {
			t.Fatal(err)
		}
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["here"] = &clientcmdapi.Cluster{
		Server: lab.config.Host, TLSServerName: lab.config.ServerName, CertificateAuthorityData: ca,
	}
	config.AuthInfos["here"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["here"] = &clientcmdapi.Context{Cluster: "here", AuthInfo: "here"}
	config.CurrentContext = "here"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
}

// readRole reads the file as strictly as the API server would.
func readRole(t *testing.T) *rbacv1.ClusterRole {
	t.Helper()
	raw, err := os.ReadFile(roleFile)
	if err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)
	object, _, err := codecs.UniversalDeserializer().Decode(raw, nil, nil)
	if err != nil {
		t.Fatalf("%s: %v", roleFile, err)
	}
	role, ok := object.(*rbacv1.ClusterRole)
	if !ok {
		t.Fatalf("%s holds a %T", roleFile, object)
	}
	return role
}

// rightsIn takes rules apart.
func rightsIn(rules []rbacv1.PolicyRule) map[right]bool {
	rights := map[right]bool{}
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			for _, on := range append(slices.Clone(rule.Resources), rule.NonResourceURLs...) {
				rights[right{verb, on}] = true
			}
		}
	}
	return rights
}

// without returns the rules less one right. Each rule is about one resource, or one URL.
func without(rules []rbacv1.PolicyRule, gone right) (left []rbacv1.PolicyRule) {
	for _, rule := range rules {
		rule = *rule.DeepCopy()
		if slices.Contains(append(rule.Resources, rule.NonResourceURLs...), gone.on) {
			rule.Verbs = slices.DeleteFunc(rule.Verbs, func(verb string) bool { return verb == gone.verb })
		}
		if len(rule.Verbs) > 0 {
			left = append(left, rule)
		}
	}
	return left
}

// rightsUsed says which rights the requests needed. /version is open to everybody who is known to
// the cluster, by the role system:public-info-viewer.
func rightsUsed(record observer.Record) map[right]bool {
	rights := map[right]bool{}
	for _, r := range record.Requests {
		switch {
		case r.Resource != "":
			rights[right{r.Verb, r.Resource}] = true
		case r.Path != "/version":
			rights[right{"get", r.Path}] = true
		}
	}
	return rights
}

func sorted(rights map[right]bool) []right { return slices.SortedFunc(maps.Keys(rights), byName) }

func byName(a, b right) int { return strings.Compare(a.on+" "+a.verb, b.on+" "+b.verb) }

// tokenWith is tokenOf, but waits until the server knows the rights that it has just been told of.
func tokenWith(t *testing.T, rules []rbacv1.PolicyRule) string {
	t.Helper()
	token := tokenOf(t, rules)
	config := rest.AnonymousClientConfig(lab.config)
	config.BearerToken, config.QPS = token, -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	reviews := client.AuthorizationV1().SelfSubjectAccessReviews()
	for _, rule := range rules {
		for given := range rightsIn([]rbacv1.PolicyRule{rule}) {
			review := &authorizationv1.SelfSubjectAccessReview{}
			if len(rule.NonResourceURLs) > 0 {
				review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: given.on, Verb: given.verb}
			} else {
				review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
					Group: rule.APIGroups[0], Resource: given.on, Verb: given.verb,
				}
			}
			err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true,
				func(ctx context.Context) (bool, error) {
					answer, err := reviews.Create(ctx, review, metav1.CreateOptions{})
					return err == nil && answer.Status.Allowed, err
				})
			if err != nil {
				t.Fatalf("the right to %s does not take effect: %v", given, err)
			}
		}
	}
	return token
}
