//go:build controlplane

package main

import (
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"client-go-lessons/cluster/internal/pki"
)

// writeKubeconfig writes the administrator's kubeconfig, keys included, beside
// the data. The cluster command hands it out once the server is ready.
func writeKubeconfig(o options, certs, address string) error {
	var err error
	read := func(name string) []byte {
		data, rerr := os.ReadFile(filepath.Join(certs, name))
		if err == nil {
			err = rerr
		}
		return data
	}
	config := api.NewConfig()
	config.Clusters[o.name] = &api.Cluster{
		Server:                   "https://" + address,
		CertificateAuthorityData: read(pki.CA + ".crt"),
	}
	config.AuthInfos[o.name] = &api.AuthInfo{
		ClientCertificateData: read(pki.Admin + ".crt"),
		ClientKeyData:         read(pki.Admin + ".key"),
	}
	config.Contexts[o.name] = &api.Context{Cluster: o.name, AuthInfo: o.name}
	config.CurrentContext = o.name
	if err != nil {
		return err
	}
	data, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(o.dir, "kubeconfig"), data)
}
