package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/features"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// sync does the same twice: sync a new informer, then have it told of one change. Since client-go
// 0.35 the first list comes by the watch itself (sendInitialEvents=true). Before, it was a List
// with resourceVersion "0", which may be an old state, then a watch from there. Both ways are
// still in client-go: KUBE_FEATURE_WatchListClient=false chooses the older one for a whole program.
// An informer looks at that gate when it starts.
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
		run.Say("One: the list comes by the watch itself, and the change comes after it.")
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
	once := s.newCopy(ctx, clientset, 0)
	defer once.stop()
	changes, tell := listen(once.running)
	_, err = once.configMaps.TypedInformer().AddTypedEventHandler(
		corev1informers.ConfigMapHandlerFuncs{
			AddFunc: func(cm *corev1.ConfigMap) { tell(change{verb: "added", now: cm}) },
		})
	if err != nil {
		return wire.Lap{}, fmt.Errorf("add a handler: %w", err)
	}
	if err := once.start(); err != nil {
		return wire.Lap{}, err
	}
	err = create(ctx, s.clientset.CoreV1().ConfigMaps(s.ns), example(name, "", nil))
	if err != nil {
		return wire.Lap{}, err
	}
	_, err = next(once.running, changes, "added", name)
	return counter.Lap(), err
}
