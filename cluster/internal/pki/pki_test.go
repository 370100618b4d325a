package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestEnsure(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	// What a killed run has left must not be in the way.
	if err := os.MkdirAll(filepath.Join(dir+".part", "rubbish"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Ensure(dir); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, authority string
		usage           x509.ExtKeyUsage
		ok              bool
	}{
		{Server, CA, x509.ExtKeyUsageServerAuth, true},
		{Admin, CA, x509.ExtKeyUsageClientAuth, true},
		{Admin, CA, x509.ExtKeyUsageServerAuth, false},
		{Admin, EtcdCA, x509.ExtKeyUsageClientAuth, false},
		{EtcdServer, EtcdCA, x509.ExtKeyUsageServerAuth, true},
		{EtcdClient, EtcdCA, x509.ExtKeyUsageClientAuth, true},
		{EtcdClient, CA, x509.ExtKeyUsageClientAuth, false},
	} {
		pool := x509.NewCertPool()
		pool.AddCert(load(t, dir, c.authority))
		_, err := load(t, dir, c.name).Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{c.usage}})
		if (err == nil) != c.ok {
			t.Errorf("%s by %s for %v: %v, want ok %v", c.name, c.authority, c.usage, err, c.ok)
		}
	}
	if err := load(t, dir, Server).VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	admin := load(t, dir, Admin)
	if !slices.Equal(admin.Subject.Organization, []string{AdminGroup}) {
		t.Errorf("the administrator's groups are %v", admin.Subject.Organization)
	}
	if admin.NotBefore.After(time.Now().Add(-time.Hour)) || admin.NotAfter.Before(time.Now().AddDate(5, 0, 0)) {
		t.Errorf("valid from %v to %v", admin.NotBefore, admin.NotAfter)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f.Name(), info.Mode(), err)
		}
	}

	before := admin.SerialNumber
	if err := Ensure(dir); err != nil {
		t.Fatal(err)
	}
	if load(t, dir, Admin).SerialNumber.Cmp(before) != 0 {
		t.Error("a second start has made new certificates")
	}
}

func load(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}
