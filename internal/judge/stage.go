package judge

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/validation"

	"client-go-lessons/internal/observer"
)

// What the judge changes itself, past the proxy, and what it reads of the program's output. A
// cluster may put ConfigMaps of its own into the namespace at any moment: those never count.

// Word makes a word that no program can know unless it asks the server.
func Word(prefix string) string { return prefix + "-" + rand.String(5) }

// Create makes a ConfigMap.
func (t *Trial) Create(ctx context.Context, name string, data map[string]string) error {
	return t.Add(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data})
}

// Add is Create for a ConfigMap with more than data.
func (t *Trial) Add(ctx context.Context, cm *corev1.ConfigMap) error {
	t.own[cm.Name] = true
	_, err := t.ConfigMaps.Create(ctx, cm, metav1.CreateOptions{})
	return JudgesOwn(err)
}

// Set changes a value of a ConfigMap and returns the version that the ConfigMap has then.
func (t *Trial) Set(ctx context.Context, name, key, value string) (version string, err error) {
	patch := fmt.Appendf(nil, `{"data":{%q:%q}}`, key, value)
	cm, err := t.ConfigMaps.Patch(ctx, name, "application/merge-patch+json", patch, metav1.PatchOptions{})
	if err != nil {
		return "", JudgesOwn(err)
	}
	return cm.ResourceVersion, nil
}

// Delete deletes a ConfigMap.
func (t *Trial) Delete(ctx context.Context, name string) error {
	return JudgesOwn(t.ConfigMaps.Delete(ctx, name, metav1.DeleteOptions{}))
}

// Value reads a value of a ConfigMap.
func (t *Trial) Value(ctx context.Context, name, key string) (string, error) {
	cm, err := t.ConfigMaps.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", JudgesOwn(err)
	}
	return cm.Data[key], nil
}

// List reads the ConfigMaps that count.
func (t *Trial) List(ctx context.Context) (*corev1.ConfigMapList, error) {
	list, err := t.ConfigMaps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, JudgesOwn(err)
	}
	list.Items = slices.DeleteFunc(list.Items, func(cm corev1.ConfigMap) bool { return !t.own[cm.Name] })
	return list, nil
}

// Lines returns the lines of the program's standard output so far that begin with prefix, without
// it.
func (t *Trial) Lines(prefix string) []string { return t.program.lines(prefix) }

// OwnLines is Lines without those that end in the name of a ConfigMap that the judge did not make.
func (t *Trial) OwnLines(prefix string) []string {
	return slices.DeleteFunc(t.program.lines(prefix), func(line string) bool {
		name := line[strings.LastIndexAny(line, " /")+1:]
		return !t.own[name] && len(validation.IsDNS1123Subdomain(name)) == 0
	})
}

// Owns tells whether the judge made the ConfigMap of this name.
func (t *Trial) Owns(name string) bool { return t.own[name] }

// Total is how many lines the program has printed.
func (t *Trial) Total() int { return t.program.total() }

// AllRequests are the program's requests of any type.
func (t *Trial) AllRequests() observer.Record { return t.observer.Since(observer.Mark{}) }

// Mark is the present end of the record of requests.
func (t *Trial) Mark() observer.Mark { return t.observer.Mark() }

// Kill ends the program, if it has not ended.
func (t *Trial) Kill() { t.program.kill() }

// Ended tells whether the program has ended.
func (t *Trial) Ended() bool { return t.program.ended() }

// End says how a program ended that has ended, and whether it failed.
func (t *Trial) End() (how string, failed bool) {
	how, panicked := t.program.end()
	return how, panicked || t.program.cmd.ProcessState.ExitCode() != 0
}
