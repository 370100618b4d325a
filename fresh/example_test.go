package fresh_test

import (
	"context"
	"fmt"
	"log"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"client-go-lessons/fresh"
)

// A write, and a read from the cache that must show it. The deadline is for the whole of it: where
// the cache takes longer, Wait returns an error, and the object could be read live.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	clientset := fake.NewClientset() // yours would come from kubernetes.NewForConfig
	factory := informers.NewSharedInformerFactory(clientset, 0)
	configMaps := factory.Core().V1().ConfigMaps()

	waiter, err := fresh.NewWaiter(configMaps.Informer())
	if err != nil {
		log.Fatal(err)
	}
	factory.StartWithContext(ctx)
	defer factory.Shutdown()
	defer cancel() // Shutdown waits for the informers, and they for the end of ctx
	if err := factory.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		log.Fatal(err)
	}

	written, err := clientset.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{
		// A server gives each write its version. The fake does not, so it is given here.
		ObjectMeta: metav1.ObjectMeta{Name: "app", ResourceVersion: "7"},
		Data:       map[string]string{"color": "blue"},
	}, metav1.CreateOptions{})
	if err != nil {
		log.Fatal(err)
	}

	if err := waiter.Wait(ctx, written.ResourceVersion); err != nil {
		log.Fatal(err)
	}
	cached, err := configMaps.Lister().ConfigMaps("default").Get("app")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cached.Data["color"])
	// Output: blue
}
