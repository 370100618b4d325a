package api

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// patience is how long a wait lasts before it is worth a word.
const patience = 2 * time.Second

// Wait polls until the cluster is ready for a lesson: the server ready, and
// kube-root-ca.crt in the namespace default. After two seconds progress is
// called with what it is waiting for. open is called until it gives a client,
// because at first there may be no kubeconfig.
func Wait(ctx context.Context, open func() (*Client, error), progress func(what string)) (*Client, error) {
	start := time.Now()
	waitsFor := "the API server to listen"
	for {
		c, err := open()
		if err == nil {
			var ready bool
			if ready, waitsFor = step(ctx, c); ready {
				return c, nil
			}
			c.Close()
		}
		if time.Since(start) > patience {
			progress(fmt.Sprintf("waiting for %s (%.0f s)", waitsFor, time.Since(start).Seconds()))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("still waiting for %s: %w", waitsFor, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func step(ctx context.Context, c *Client) (ready bool, waitsFor string) {
	ready, failing, err := c.Ready(ctx)
	switch {
	case err != nil:
		return false, "the API server to listen on " + c.Server
	case !ready:
		if n := len(failing); n > 3 {
			failing = append(failing[:3], fmt.Sprintf("and %d more", n-3))
		}
		return false, "/readyz: " + strings.Join(failing, ", ")
	case !c.HasRootCA(ctx):
		return false, "kube-root-ca.crt in the namespace default"
	}
	return true, ""
}
