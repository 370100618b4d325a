package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/features"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// sync does the same twice: sync a new informer, then have it told of one change. Since client-go
// 0.35 the first list comes by the watch itself (sendInitialEvents=true), which spares the server
// from holding the whole answer in memory. Before, it was a List with resourceVersion "0", then a
// watch from there. Both ways are still in client-go: KUBE_FEATURE_WatchListClient=false chooses
// the older one for a whole program, and an informer looks at that gate when it starts.
func (s *shared) sync(ctx context.Context, run *lesson.Run) error {
	gates, ok := features.FeatureGates().(interface {
		Set(features.Feature, bool) error
	})
	if !ok {
		return errors.New("the feature gates of client-go cannot be set in this program")
	}
	was := features.FeatureGates().Enabled(features.WatchListClient)
	defer func() { _ = gates.Set(features.WatchListClient, was) }()

	var laps []wire.Lap
	table := [][]any{{"sync, then one change", "LIST", "WATCH", "bytes"}}
	for _, way := range []struct {
		name    string
		streams bool
	}{{"WatchListClient=true, the default", true}, {"WatchListClient=false, as it was", false}} {
		if err := gates.Set(features.WatchListClient, way.streams); err != nil {
			return fmt.Errorf("set feature gate %s: %w", features.WatchListClient, err)
		}
		lap, err := s.syncOnce(ctx, fmt.Sprintf("news-%t", way.streams))
		if err != nil {
			return err
		}
		laps = append(laps, lap)
		table = append(table, []any{way.name, lap.Requests["list"], lap.Requests["watch"],
			wire.Bytes(lap.Bytes)})
	}
	run.Table(table...)
	s.wire.Lap() // the two changes are not part of it
	switch {
	case laps[0].Requests["list"] == 0 && laps[0].Requests["watch"] == 1:
		run.Say("Now the list comes by the watch itself, and the change comes after it.")
	case laps[0].Status[http.StatusUnprocessableEntity] > 0:
		run.Say("This server does not stream lists: the informer tried, then did as before.")
	default:
		run.Say("Something went wrong on the way, so the informer began anew.")
	}
	return nil
}

// syncOnce counts what an informer sends until it is told that a ConfigMap of that name was made.
func (s *shared) syncOnce(ctx context.Context, name string) (wire.Lap, error) {
	cfg := rest.CopyConfig(s.config)
	counter := wire.Count(cfg)
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return wire.Lap{}, err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithNamespace(s.ns))
	running, cancel := context.WithCancelCause(ctx)
	defer factory.Shutdown() // after the cancel below
	defer cancel(nil)

	informer := factory.Core().V1().ConfigMaps().Informer()
	if err := informer.SetWatchErrorHandlerWithContext(giveUp(cancel)); err != nil {
		return wire.Lap{}, err
	}
	changes, tell := listen(running)
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, isInInitialList bool) {
			if cm, ok := obj.(*corev1.ConfigMap); ok && !isInInitialList {
				tell(change{verb: "added", now: cm})
			}
		},
	})
	if err != nil {
		return wire.Lap{}, fmt.Errorf("add a handler: %w", err)
	}
	factory.StartWithContext(running)
	if err := factory.WaitForCacheSyncWithContext(running).AsError(); err != nil {
		return wire.Lap{}, err
	}

	_, err = s.clientset.CoreV1().ConfigMaps(s.ns).Create(ctx,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		return wire.Lap{}, fmt.Errorf("create ConfigMap %s: %w", name, err)
	}
	_, err = next(running, changes, "added", name)
	return counter.Lap(), err
}
