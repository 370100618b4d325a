//go:build controlplane

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	apioptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"client-go-lessons/cluster/internal/pki"
)

// anonymousForHealth lets everyone ask whether the server is well, and nobody
// anything else without a name.
const anonymousForHealth = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
  - path: /healthz
  - path: /livez
  - path: /readyz
`

// serve runs the API server, and in it the controllers, until ctx ends.
func serve(ctx context.Context, dir, certs, etcd string, listener net.Listener) error {
	authentication := filepath.Join(dir, "authentication.yaml")
	if err := writeFile(authentication, []byte(anonymousForHealth)); err != nil {
		return err
	}
	pair := func(name string) (crt, key string) {
		return filepath.Join(certs, name+".crt"), filepath.Join(certs, name+".key")
	}
	ca, _ := pair(pki.CA)
	etcdCA, _ := pair(pki.EtcdCA)
	etcdCert, etcdKey := pair(pki.EtcdClient)
	serverCert, serverKey := pair(pki.Server)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return err
	}

	// The values that kubeadm gives a kind cluster, wherever there is a choice.
	args := []string{
		"--etcd-servers=https://" + etcd,
		"--etcd-cafile=" + etcdCA,
		"--etcd-certfile=" + etcdCert,
		"--etcd-keyfile=" + etcdKey,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + port,
		"--endpoint-reconciler-type=none",
		"--cert-dir=" + filepath.Join(dir, "run"),
		"--tls-cert-file=" + serverCert,
		"--tls-private-key-file=" + serverKey,
		"--client-ca-file=" + ca,
		"--authentication-config=" + authentication,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + filepath.Join(certs, pki.ServiceAccountPublic),
		"--service-account-signing-key-file=" + filepath.Join(certs, pki.ServiceAccountKey),
	}
	opts, err := completeOptions(ctx, args, listener)
	if err != nil {
		return fmt.Errorf("API server options: %w", err)
	}
	config, err := app.NewConfig(opts)
	if err != nil {
		return fmt.Errorf("configure the API server: %w", err)
	}
	completed, err := config.Complete()
	if err != nil {
		return fmt.Errorf("configure the API server: %w", err)
	}
	server, err := app.CreateServerChain(completed)
	if err != nil {
		return fmt.Errorf("make the API server: %w", err)
	}
	rootCA, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	if err := addHooks(server.GenericAPIServer, rootCA); err != nil {
		return err
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return fmt.Errorf("prepare the API server: %w", err)
	}
	return prepared.Run(ctx)
}

// completeOptions does what the kube-apiserver command does with its flags.
func completeOptions(ctx context.Context, args []string, listener net.Listener) (apioptions.CompletedOptions, error) {
	var none apioptions.CompletedOptions
	s := apioptions.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range s.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(args); err != nil {
		return none, err
	}
	s.SecureServing.Listener = listener
	if err := s.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return none, err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	if err := logsapi.ValidateAndApply(s.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return none, err
	}
	completed, err := s.Complete(ctx)
	if err != nil {
		return none, err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return none, utilerrors.NewAggregate(errs)
	}
	utilfeature.DefaultMutableFeatureGate.AddMetrics()
	s.GenericServerRunOptions.ComponentGlobalsRegistry.AddMetrics()
	return completed, nil
}
