package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	lease         = "summaries"     // the name of the Lease
	leaseDuration = 3 * time.Second // others wait so long for a holder that is silent; usual: 15 s
	retryPeriod   = time.Second / 2 // between two renewals, or two looks at the Lease; usual: 2 s
)

// lead calls work when this replica holds the Lease. It returns when ctx ends or the Lease is lost.
// Of several replicas, each with an identity of its own, one works at a time.
func lead(ctx context.Context, clientset kubernetes.Interface, namespace, identity string,
	work func(context.Context) error,
) (err error) {
	// The Lease is given back when work has returned, not before: the next holder begins at once.
	electing, giveBack := context.WithCancel(context.WithoutCancel(ctx))
	defer giveBack()
	var leads atomic.Bool
	defer context.AfterFunc(ctx, func() {
		if !leads.Load() {
			giveBack() // there is no work to wait for
		}
	})()
	var working sync.WaitGroup
	working.Add(1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: lease, Namespace: namespace},
			Client:     clientset.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		},
		LeaseDuration: leaseDuration, RenewDeadline: leaseDuration * 2 / 3,
		RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) { // leading ends when the Lease is lost
				defer working.Done()
				leads.Store(true)
				leading, stop := context.WithCancel(leading)
				defer stop()
				defer context.AfterFunc(ctx, stop)()
				err = work(leading)
				giveBack()
			},
			OnStoppedLeading: func() {}, // required
		},
	})
	if err != nil {
		return err
	}
	elector.Run(electing)
	if leads.Load() {
		working.Wait()
	}
	if ctx.Err() == nil && err == nil {
		return errors.New("the Lease is lost: another replica may work now")
	}
	return err
}
