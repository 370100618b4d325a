package observer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig writes a kubeconfig for this observer to path, readable by its
// owner only. It holds one context of the given name, and the observer's own
// token: whoever can read the file has the target's rights while the observer
// runs.
func (o *Observer) Kubeconfig(path, contextName string) error {
	return o.KubeconfigWithToken(path, contextName, "")
}

// KubeconfigWithToken is Kubeconfig for a client that sends another bearer
// token, and so has the rights of that token instead of the target's. The empty
// token stands for the observer's own.
func (o *Observer) KubeconfigWithToken(path, contextName, token string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[contextName] = &clientcmdapi.Cluster{
		Server:                   o.URL(),
		CertificateAuthorityData: o.authority.caPEM(),
	}
	config.AuthInfos[contextName] = &clientcmdapi.AuthInfo{Token: cmp.Or(token, o.token)}
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: contextName}
	config.CurrentContext = contextName

	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("observer: encoding a kubeconfig: %w", err)
	}
	// A file that exists would keep its permissions.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("observer: replacing a kubeconfig: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("observer: writing a kubeconfig: %w", err)
	}
	return nil
}
