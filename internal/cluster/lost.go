package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A server that is gone is noticed calm + patience after the last sign of it, or a little later.
const (
	calm     = 3 * time.Second  // a run that is silent for so long makes Lost look
	pace     = time.Second      // between two looks
	patience = 11 * time.Second // a server that restarts is back sooner, most of the time
	answer   = 4 * time.Second  // how long one look waits for an answer
)

// Lost returns an error, which is [Advice], once the server has not answered for some time. It
// returns nil when ctx ends. It looks only while the run is quiet: quiet says for how long that has
// been so. An informer says nothing when its server is gone, it tries again for ever.
func (n *Namespace) Lost(ctx context.Context, quiet func() time.Duration) error {
	var since time.Time // the first look in a row that got no answer
	for {
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return nil
		}
		if since.IsZero() && quiet() < calm {
			continue
		}
		began := time.Now()
		reason := n.answers(ctx)
		if ctx.Err() != nil {
			continue // and end above
		}
		switch {
		case reason == nil:
			since = time.Time{}
		case since.IsZero():
			since = began
		case time.Since(since) >= patience:
			n.lost = true
			return &Advice{
				fmt.Sprintf("the server at %s does not answer any more: %v", n.cluster.Address(), reason),
				fmt.Sprintf("Has the cluster been stopped? See: make status. Namespace %s stays on it; "+
					"a lesson that runs an hour from now removes it.", n.Name),
			}
		}
	}
}

// answers asks the server for anything. What it answers does not matter, unless it is that it cannot.
func (n *Namespace) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	_, err := n.clientset.Discovery().RESTClient().Get().AbsPath("/version").MaxRetries(0).DoRaw(ctx)
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError {
		return nil
	}
	return err
}

// Gone tells whether Lost has found the server gone.
func (n *Namespace) Gone() bool { return n.lost }
