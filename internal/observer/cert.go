package observer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// authority is a certificate authority of the observer's own, and the
// certificate that it serves with at the moment.
type authority struct {
	mu   sync.Mutex
	ca   *x509.Certificate
	key  crypto.Signer
	leaf *tls.Certificate
}

func newAuthority() (*authority, error) {
	a := &authority{}
	return a, a.rotate(false)
}

// rotate makes a new serving certificate and, unless sameCA, a new authority
// to sign it.
func (a *authority) rotate(sameCA bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	ca, caKey := a.ca, a.key
	if !sameCA {
		template := &x509.Certificate{
			Subject:               pkix.Name{CommonName: "observer-ca"},
			IsCA:                  true,
			BasicConstraintsValid: true,
			KeyUsage:              x509.KeyUsageCertSign,
		}
		var err error
		if ca, caKey, err = sign(template, nil, nil); err != nil {
			return err
		}
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "observer"},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leaf, leafKey, err := sign(template, ca, caKey)
	if err != nil {
		return err
	}
	a.ca, a.key = ca, caKey
	a.leaf = &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: leafKey, Leaf: leaf}
	return nil
}

// certificate is a tls.Config's GetCertificate.
func (a *authority) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaf, nil
}

// caPEM returns the authority's certificate in the form a kubeconfig wants.
func (a *authority) caPEM() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.ca.Raw})
}

// sign makes a key and a certificate for it, signed by parent or, when that
// is nil, by itself. It is valid from two days ago to two days ahead, so that
// a client whose clock is an hour off can still connect.
func sign(template, parent *x509.Certificate, parentKey crypto.Signer) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-48 * time.Hour)
	template.NotAfter = time.Now().Add(48 * time.Hour)
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}
