//go:build controlplane

package main

import (
	"context"
	"fmt"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"

	"client-go-lessons/cluster/internal/pki"
)

// addHooks makes the server do, once it serves, what kubeadm and
// kube-controller-manager do on a full cluster. Both work through the server's
// own privileged loopback client, so no powerful key lies on the disk. /readyz
// fails until a hook has returned.
func addHooks(server *genericapiserver.GenericAPIServer, rootCA []byte) error {
	err := server.AddPostStartHook("cluster-admin-binding", func(h genericapiserver.PostStartHookContext) error {
		client, err := kubernetes.NewForConfig(h.LoopbackClientConfig)
		if err != nil {
			return err
		}
		return bindAdmin(h.Context, client)
	})
	if err != nil {
		return fmt.Errorf("add hook: %w", err)
	}
	err = server.AddPostStartHook("controllers", func(h genericapiserver.PostStartHookContext) error {
		return startControllers(h.Context, h.LoopbackClientConfig, rootCA)
	})
	if err != nil {
		return fmt.Errorf("add hook: %w", err)
	}
	return nil
}

// bindAdmin makes the kubeconfig's group cluster-admin, as kubeadm does.
func bindAdmin(ctx context.Context, client kubernetes.Interface) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: pki.AdminGroup},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: pki.AdminGroup}},
	}
	create := func(ctx context.Context) (bool, error) {
		_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
		return err == nil || apierrors.IsAlreadyExists(err), nil
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, create)
}
