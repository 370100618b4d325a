package wire

import (
	"context"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/metrics"
)

// throttleWaits is the sum, in nanoseconds, of the times that client-go's rate limiters held
// requests of this process back.
var throttleWaits atomic.Int64

// register hooks into client-go's metrics. They are one set per process and can be registered once
// (client-go/tools/metrics), so all Counters of a process see the waits of all its clients.
var register = sync.OnceFunc(func() {
	metrics.Register(metrics.RegisterOpts{RateLimiterLatency: waits{}})
})

type waits struct{}

func (waits) Observe(_ context.Context, _ string, _ url.URL, latency time.Duration) {
	throttleWaits.Add(int64(latency))
}

// throttled returns a function that tells how long requests were held back since its last call.
func throttled() func() time.Duration {
	register()
	last := throttleWaits.Load()
	return func() time.Duration {
		now := throttleWaits.Load()
		defer func() { last = now }()
		return time.Duration(now - last)
	}
}
