package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"client-go-lessons/internal/lesson"
	"client-go-lessons/internal/wire"
)

// narrow gives a factory a selector, and looks what its informer gets with the selector and without
// it. What does not match is not in the cache: for a lister on that cache, it does not exist.
func (s *shared) narrow(ctx context.Context, run *lesson.Run) error {
	all, err := s.watchOnly(ctx, "")
	if err != nil {
		return err
	}
	backend, err := s.watchOnly(ctx, "tier=backend")
	if err != nil {
		return err
	}
	run.Table([]any{"LabelSelector", "our objects in the cache", "bytes"},
		[]any{"none", all.objects, wire.Bytes(all.bytes)},
		[]any{"tier=backend", backend.objects, wire.Bytes(backend.bytes)})

	_, err = s.clientset.CoreV1().ConfigMaps(s.ns).Get(ctx, "app", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get ConfigMap app: %w", err)
	}
	s.wire.Lap()
	if backend.objects < all.objects && backend.bytes < all.bytes {
		run.Say("What you do not ask for is neither sent nor kept.")
	}
	if backend.appNotFound {
		run.Say("app, of tier frontend, is on the server; the narrow lister says not found.")
	}
	run.Say("The selector is the factory's: two selectors, two factories.")
	return nil
}

// narrowed is what an informer with a selector got.
type narrowed struct {
	objects     int
	bytes       int64
	appNotFound bool // by the lister
}

// watchOnly syncs an informer with a selector. The function given to WithTweakListOptions gets the
// options of each List and Watch of the factory's informers. It may set the two selectors, for
// labels and fields; the rest of the options are the informer's own.
func (s *shared) watchOnly(ctx context.Context, selector string) (got narrowed, err error) {
	cfg := rest.CopyConfig(s.config)
	counter := wire.Count(cfg)
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return got, err
	}
	narrow := s.newCopy(ctx, clientset, 0,
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.LabelSelector = selector
		}))
	defer narrow.stop()
	if err := narrow.start(); err != nil {
		return got, err
	}
	lister := narrow.configMaps.Lister().ConfigMaps(s.ns)
	list, err := lister.List(labels.Everything())
	if err != nil {
		return got, fmt.Errorf("list from the cache: %w", err)
	}
	_, err = lister.Get("app")
	return narrowed{len(names(list)), counter.Lap().Bytes, apierrors.IsNotFound(err)}, nil
}
