package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func configOf(t *testing.T, dir string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

func connectTo(t *testing.T, dir string) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(configOf(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// flowSchema returns the UID of the flow schema that the server says it treats
// the kubeconfig's user by.
func flowSchema(t *testing.T, dir string) string {
	t.Helper()
	httpClient, err := rest.HTTPClientFor(configOf(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := httpClient.Get(configOf(t, dir).Host + "/api/v1/namespaces")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.Header.Get("X-Kubernetes-PF-FlowSchema-UID")
}

// behavesAsCluster checks what lessons rely on.
func behavesAsCluster(t *testing.T, dir string) {
	ctx := context.Background()
	client := connectTo(t, dir)
	t.Run("a namespace gets kube-root-ca.crt and a service account, and goes away", func(t *testing.T) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "short-lived"}}
		if _, err := client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "kube-root-ca.crt appears", func() bool {
			cm, err := client.CoreV1().ConfigMaps(ns.Name).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
			return err == nil && strings.Contains(cm.Data["ca.crt"], "BEGIN CERTIFICATE")
		})
		eventually(t, "the service account appears", func() bool {
			_, err := client.CoreV1().ServiceAccounts(ns.Name).Get(ctx, "default", metav1.GetOptions{})
			return err == nil
		})
		if err := client.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the namespace is gone", func() bool {
			_, err := client.CoreV1().Namespaces().Get(ctx, ns.Name, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	})
	t.Run("what has lost its owner is collected", func(t *testing.T) {
		cms := client.CoreV1().ConfigMaps("default")
		owner, err := cms.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
		}}}
		if _, err := cms.Create(ctx, owned, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := cms.Delete(ctx, owner.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the owned ConfigMap is gone", func() bool {
			_, err := cms.Get(ctx, owned.Name, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	})
	t.Run("its user is an ordinary one to fair queuing", func(t *testing.T) {
		schemas, err := client.FlowcontrolV1().FlowSchemas().List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]string{}
		for _, s := range schemas.Items {
			names[string(s.UID)] = s.Name
		}
		if got := names[flowSchema(t, dir)]; got != "global-default" {
			t.Errorf("flow schema %q, want global-default", got)
		}
	})
	t.Run("its metrics can be read", func(t *testing.T) {
		data, err := client.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
		if err != nil || !strings.Contains(string(data), "etcd_requests_total") {
			t.Errorf("%d bytes, %v", len(data), err)
		}
	})
	t.Run("its version", func(t *testing.T) {
		v, err := client.Discovery().ServerVersion()
		if err != nil || v.GitVersion != "v1.37.2" || v.GitTreeState != "clean" {
			t.Errorf("%+v, %v", v, err)
		}
	})
}
