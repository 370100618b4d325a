//go:build controlplane

package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"

	"client-go-lessons/cluster/internal/pki"
)

// startEtcd starts etcd on a free loopback port and waits until it can serve.
//
// Only clients with a certificate of etcd's own authority are let in. There is
// one member and never a second, so it listens for no peers. It does not wait
// for the disk: what a killed process has written is safe in the kernel, and a
// lesson's data need not survive a power cut.
func startEtcd(ctx context.Context, dir, certs string) (*embed.Etcd, error) {
	client := url.URL{Scheme: "https", Host: "127.0.0.1:0"}
	cfg := embed.NewConfig()
	cfg.Name = "local"
	cfg.Dir = dir
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ListenPeerUrls = nil
	cfg.ListenClientUrls = []url.URL{client}
	cfg.AdvertiseClientUrls = []url.URL{client}
	cfg.ClientTLSInfo = transport.TLSInfo{
		CertFile:       filepath.Join(certs, pki.EtcdServer+".crt"),
		KeyFile:        filepath.Join(certs, pki.EtcdServer+".key"),
		TrustedCAFile:  filepath.Join(certs, pki.EtcdCA+".crt"),
		ClientCertAuth: true,
	}
	cfg.UnsafeNoFsync = true
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{"stderr"}
	// A lone member elects itself; the shorter the wait, the sooner it does.
	cfg.TickMs = 10
	cfg.ElectionMs = 100

	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, fmt.Errorf("start etcd: %w", err)
	case <-ctx.Done():
		etcd.Close()
		return nil, context.Cause(ctx)
	}
}
