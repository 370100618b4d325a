// Package play is what the judge does in exercise 16.
package play

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/internal/judge"
	"client-go-lessons/internal/observer"
)

// enough is how long a controller may take until all is as it should be.
const enough = 15 * time.Second

type world struct {
	*judge.Trial
	apps map[string]string // their colors
}

// Play changes many apps at once, lets writes fail, deletes, restarts the program, and lets its
// cache hear of things late. After each, the children must become what they should be.
func Play(ctx context.Context, t *judge.Trial) (string, error) {
	w := &world{t, map[string]string{"one": "red", "two": "blue"}}
	events := observer.NewGate()
	events.Open()
	t.Inject(observer.Match{Verb: "watch"}, observer.HoldBody(events))
	t.Inject(observer.Match{Func: judge.Writes, To: 2}, observer.ServerError())
	if err := t.Start(); err != nil {
		return "", err
	}
	if err := w.settle(ctx, "The judge lets the first two writes fail (injected)."); err != nil {
		return "", err
	}
	var burst []string
	for range 8 {
		burst = append(burst, judge.Word("app"))
		if err := w.add(ctx, burst[len(burst)-1]); err != nil {
			return "", err
		}
	}
	for range 3 {
		for _, name := range burst {
			if err := w.paint(ctx, name); err != nil {
				return "", err
			}
		}
	}
	if err := w.settle(ctx, "The judge created 8 apps at once, and changed each three times."); err != nil {
		return "", err
	}
	if err := w.remove(ctx, burst[0]); err != nil {
		return "", err
	}
	if err := w.settle(ctx, "The judge deleted an app."); err != nil {
		return "", err
	}
	t.Kill()
	if err := w.remove(ctx, burst[1]); err != nil {
		return "", err
	}
	if err := w.paint(ctx, burst[2]); err != nil {
		return "", err
	}
	if err := t.Start(); err != nil {
		return "", err
	}
	if err := w.settle(ctx, "While your program was not running, the judge deleted an app and changed another."); err != nil {
		return "", err
	}
	if err := w.late(ctx, events); err != nil {
		return "", err
	}
	return fmt.Sprintf("Each app has its child: after refused writes (injected), a burst, a deletion, a restart, and "+
		"events that came late (injected). Your program sent %s.", t.Sent()), nil
}

// late holds the child's creation until the app has changed once more, and tells the cache of
// neither until the child is there.
func (w *world) late(ctx context.Context, events *observer.Gate) error {
	write, mark := observer.NewGate(), w.Mark()
	w.Inject(observer.Match{Func: judge.Writes, To: 1}, observer.HoldRequest(write))
	name := judge.Word("late")
	if err := w.add(ctx, name); err != nil {
		return err
	}
	if err := w.Must(ctx, "create the child of "+name, func() bool {
		return w.Requests(mark).Where(judge.Writes).Count() > 0
	}); err != nil {
		return err
	}
	events.Shut()
	if err := w.paint(ctx, name); err != nil {
		return err
	}
	write.Open()
	if err := w.Must(ctx, "end its write", func() bool {
		return w.Requests(mark).Where(judge.Writes).Open().Count() == 0
	}); err != nil {
		return err
	}
	events.Open()
	return w.settle(ctx, "The cache heard late of an app's change and of its child (injected).")
}

func (w *world) add(ctx context.Context, name string) error {
	w.apps[name] = judge.Word("color")
	return w.Add(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"role": "app"}},
		Data:       map[string]string{"color": w.apps[name]},
	})
}

func (w *world) paint(ctx context.Context, name string) error {
	w.apps[name] = judge.Word("color")
	_, err := w.Set(ctx, name, "color", w.apps[name])
	return err
}

func (w *world) remove(ctx context.Context, name string) error {
	delete(w.apps, name)
	return w.Delete(ctx, name)
}

// settle waits until each app has its child.
func (w *world) settle(ctx context.Context, scene string) error {
	var wrong []string
	var err error
	w.Within(ctx, enough, func() bool {
		wrong, err = w.wrong(ctx)
		return err != nil || len(wrong) == 0
	})
	if err != nil || len(wrong) == 0 {
		return err
	}
	if w.Ended() {
		how, _ := w.End()
		return judge.NotYet("%s Then %s.", scene, how)
	}
	return judge.NotYet("%s %s later, %s.", scene, judge.Round(enough), strings.Join(wrong[:min(3, len(wrong))], ", "))
}

// wrong says what is not as it should be.
func (w *world) wrong(ctx context.Context) (wrong []string, err error) {
	list, err := w.ConfigMaps.List(ctx, metav1.ListOptions{LabelSelector: "role=child"})
	if err != nil {
		return nil, judge.JudgesOwn(err)
	}
	children := map[string]string{}
	for _, child := range list.Items {
		children[child.Name] = child.Data["color"]
	}
	for _, app := range slices.Sorted(maps.Keys(w.apps)) {
		color, there := children[app+"-child"]
		switch delete(children, app+"-child"); {
		case !there:
			wrong = append(wrong, "app "+app+" has no child")
		case color != w.apps[app]:
			wrong = append(wrong, fmt.Sprintf("%s-child is %q and not %s", app, color, w.apps[app]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(children)) {
		wrong = append(wrong, name+" is there, and should not be")
	}
	return wrong, nil
}
