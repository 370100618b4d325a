//go:build controlplane

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

// The periods at which kube-controller-manager looks again at what it has.
const (
	resync          = 12 * time.Hour
	namespaceResync = 5 * time.Minute
	discoveryPeriod = 30 * time.Second
)

// startControllers starts four of kube-controller-manager's controllers:
//
//   - namespace empties and removes deleted namespaces, which would otherwise
//     stay Terminating for ever;
//   - root-ca-cert-publisher puts kube-root-ca.crt into every namespace;
//   - service-account puts a default service account there;
//   - garbage-collector deletes what has lost its owner.
func startControllers(ctx context.Context, loopback *rest.Config, rootCA []byte) error {
	// The controllers share a process with the server that they would be
	// throttled against.
	config := rest.CopyConfig(loopback)
	config.QPS = -1
	config.UserAgent = "kube-controller-manager"

	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	typed := informers.NewSharedInformerFactory(client, resync)
	partial := metadatainformer.NewSharedInformerFactory(objects, resync)
	namespaces := typed.Core().V1().Namespaces()

	deleter := namespace.NewNamespaceController(ctx, client, objects,
		client.Discovery().ServerPreferredNamespacedResources, namespaces, namespaceResync, corev1.FinalizerKubernetes)

	publisher, err := rootcacertpublisher.NewPublisher(typed.Core().V1().ConfigMaps(), namespaces, client, rootCA)
	if err != nil {
		return fmt.Errorf("root CA publisher: %w", err)
	}
	accounts, err := serviceaccount.NewServiceAccountsController(klog.FromContext(ctx),
		typed.Core().V1().ServiceAccounts(), namespaces, client, serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return fmt.Errorf("service account controller: %w", err)
	}

	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	started := make(chan struct{})
	collector, err := garbagecollector.NewGarbageCollector(ctx, client, objects, mapper,
		garbagecollector.DefaultIgnoredResources(), informerfactory.NewInformerFactory(typed, partial), started)
	if err != nil {
		return fmt.Errorf("garbage collector: %w", err)
	}

	typed.StartWithContext(ctx)
	partial.Start(ctx.Done())
	close(started)
	go deleter.Run(ctx, 10)
	go publisher.Run(ctx, 1)
	go accounts.Run(ctx, 1)
	go collector.Run(ctx, 20, discoveryPeriod)
	go collector.Sync(ctx, client.Discovery(), discoveryPeriod)
	go wait.UntilWithContext(ctx, func(context.Context) { mapper.Reset() }, discoveryPeriod)
	return nil
}
