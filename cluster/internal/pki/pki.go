// Package pki makes the certificates of a local control plane.
//
// There are two authorities, as in a kubeadm cluster: one for the API server
// and its clients, one for etcd, so that a client of the API server is nobody
// to etcd. All keys are ECDSA P-256 and never leave the folder they are
// written to.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// AdminGroup is the group of the kubeconfig's user. It is kubeadm's, so that
// the API server treats the user here as it does the user of a kind cluster:
// cluster-admin by RBAC, and not exempt from fair queuing as the members of
// system:masters are.
const AdminGroup = "kubeadm:cluster-admins"

// validity is long because nothing renews these certificates: they are worth
// no more than the folder that they lie in.
const validity = 10 * 365 * 24 * time.Hour

// The names of the pairs in the folder, each a .crt and a .key.
const (
	CA         = "ca"
	Server     = "apiserver"
	Admin      = "admin"
	EtcdCA     = "etcd-ca"
	EtcdServer = "etcd-server"
	EtcdClient = "etcd-client"
)

// The key pair that signs service account tokens.
const (
	ServiceAccountKey    = "sa.key"
	ServiceAccountPublic = "sa.pub"
)

// Ensure makes the folder and all that is in it unless it is already there.
// It appears under its name complete or not at all.
func Ensure(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.MkdirAll(part, 0o700); err != nil {
		return err
	}
	if err := fill(part); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	return os.Rename(part, dir)
}

func fill(dir string) error {
	ca, err := newAuthority(dir, CA, "client-go-lessons")
	if err != nil {
		return err
	}
	etcd, err := newAuthority(dir, EtcdCA, "client-go-lessons-etcd")
	if err != nil {
		return err
	}
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	return errors.Join(
		ca.issue(dir, Server, x509.Certificate{
			Subject:     pkix.Name{CommonName: "kube-apiserver"},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			IPAddresses: append(loopback, net.IPv4(10, 96, 0, 1)),
			DNSNames: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc.cluster.local",
			},
		}),
		ca.issue(dir, Admin, x509.Certificate{
			Subject:     pkix.Name{CommonName: "kubernetes-admin", Organization: []string{AdminGroup}},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}),
		etcd.issue(dir, EtcdServer, x509.Certificate{
			Subject:     pkix.Name{CommonName: "etcd"},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			IPAddresses: loopback,
			DNSNames:    []string{"localhost"},
		}),
		etcd.issue(dir, EtcdClient, x509.Certificate{
			Subject:     pkix.Name{CommonName: "kube-apiserver-etcd-client"},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}),
		serviceAccountKeys(dir),
	)
}

// authority is a certificate that signs others.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(dir, name, commonName string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := sign(template, &template, key, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, writePair(dir, name, der, key)
}

func (a *authority) issue(dir, name string, template x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := sign(template, a.cert, key, a.key)
	if err != nil {
		return err
	}
	return writePair(dir, name, der, key)
}

func sign(template x509.Certificate, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	// A day back, because clocks differ.
	template.NotBefore = time.Now().Add(-24 * time.Hour)
	template.NotAfter = time.Now().Add(validity)
	return x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
}

func serviceAccountKeys(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, ServiceAccountPublic), "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, ServiceAccountKey), key)
}

func writePair(dir, name string, der []byte, key *ecdsa.PrivateKey) error {
	if err := writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, name+".key"), key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
