package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// heard is what runs of the command have said, by folder.
var heard struct {
	sync.Mutex
	by map[string]string
}

func hear(dir string, r result) {
	heard.Lock()
	defer heard.Unlock()
	if heard.by == nil {
		heard.by = map[string]string{}
	}
	heard.by[dir] += r.String()
}

// secret is something that is nobody's business, and what it is.
type secret struct{ what, text string }

// secretsOf are the cluster's private keys, in the ways in which they could come to light, and two
// tokens that the API server has been shown: one that is good and one that is not.
func secretsOf(t *testing.T, dir string) (secrets []secret) {
	t.Helper()
	keys, err := filepath.Glob(filepath.Join(at(t, dir).Local(), "pki", "*.key"))
	if err != nil || len(keys) < 7 {
		t.Fatalf("keys: %v, %v", keys, err)
	}
	for _, path := range keys {
		key, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		for line := range strings.Lines(string(key)) {
			if line = strings.TrimSpace(line); len(line) > 20 && !strings.HasPrefix(line, "-----") {
				secrets = append(secrets, secret{"a line of " + name, line})
			}
		}
		// As a kubeconfig holds it; a part of it tells as much as the whole.
		secrets = append(secrets, secret{name + " in base64", base64.StdEncoding.EncodeToString(key)[60:120]})
	}
	kubeconfig, err := os.ReadFile(filepath.Join(dir, "kubeconfig"))
	found := func(s secret) bool { return strings.Contains(string(kubeconfig), s.text) }
	if err != nil || !slices.ContainsFunc(secrets, found) {
		t.Errorf("the kubeconfig holds none of the keys, so the search would find none: %v", err)
	}

	good, err := connectTo(t, dir).CoreV1().ServiceAccounts("default").CreateToken(context.Background(), "default",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{good.Status.Token: http.StatusForbidden, "not-a-token-of-this-cluster": http.StatusUnauthorized} {
		if got := getWithToken(t, dir, token); got != want {
			t.Errorf("with a token the server answers %d, want %d", got, want)
		}
		secrets = append(secrets, secret{"a token", token[max(0, len(token)-40):]}) // its signature
	}
	return secrets
}

func getWithToken(t *testing.T, dir, token string) int {
	t.Helper()
	config := rest.AnonymousClientConfig(configOf(t, dir))
	config.BearerToken = token
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	resp, err := client.Get(config.Host + "/api/v1/namespaces/default/configmaps")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// nothingSecretIn fails the test for each of the secrets that the text holds, and does not repeat it.
func nothingSecretIn(t *testing.T, where, text string, secrets []secret) {
	t.Helper()
	if text == "" {
		t.Errorf("%s is empty", where)
	}
	for _, s := range secrets {
		if strings.Contains(text, s.text) {
			t.Errorf("%s holds %s", where, s.what)
		}
	}
}

// tellsNoSecrets checks what the command has said so far, and what others can see of the control
// plane's process. Its logs are checked when it is gone.
func tellsNoSecrets(t *testing.T, dir string, secrets []secret) {
	t.Helper()
	heard.Lock()
	said := heard.by[dir]
	heard.Unlock()
	for _, verb := range []string{"up already", "state        running", "kubeconfig\n", "next: "} {
		if !strings.Contains(said, verb) {
			t.Errorf("the runs so far have not said %q, so this looks at too few of them", verb)
		}
	}
	nothingSecretIn(t, "the output of cluster", said, secrets)
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pidOf(t, dir)))
	if err == nil {
		nothingSecretIn(t, "the command line of the control plane", string(cmdline), secrets)
	}
}

// logsTellNoSecrets checks every file below logs/.
func logsTellNoSecrets(t *testing.T, dir string, secrets []secret) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(filepath.Join(dir, "logs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		log, err := os.ReadFile(path)
		nothingSecretIn(t, path, string(log), secrets)
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d logs, %v", files, err)
	}
}

// nobody is the user of no files.
const nobody = 65534

// othersCanOpenNothing has another user of the machine try to open every file and list every folder
// of the cluster.
func othersCanOpenNothing(t *testing.T, dir string) {
	if os.Getuid() != 0 {
		t.Skip("needs root to be somebody else; that the modes allow nobody else is checked all the same")
	}
	// The folders above must not be what keeps them out.
	for up := filepath.Dir(dir); up != os.TempDir() && up != "/"; up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	public := filepath.Join(filepath.Dir(dir), "public")
	if err := os.WriteFile(public, []byte("for all"), 0o644); err != nil {
		t.Fatal(err)
	}
	pid := pidOf(t, dir)
	paths := []string{public, fmt.Sprintf("/proc/%d/environ", pid), fmt.Sprintf("/proc/%d/mem", pid), fmt.Sprintf("/proc/%d/fd", pid)}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		paths = append(paths, path)
		return nil
	})
	if err != nil || len(paths) < 25 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	const try = `for f do
	if [ -d "$f" ]; then ls "$f" >/dev/null 2>&1 && echo "$f"
	elif (: <"$f") 2>/dev/null || (: >>"$f") 2>/dev/null; then echo "$f"; fi
done; true`
	cmd := exec.Command("/bin/sh", append([]string{"-c", try, "sh"}, paths...)...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("another user's shell: %v", err)
	}
	opened := strings.Fields(string(bytes.TrimSpace(out)))
	if len(opened) == 0 || opened[0] != public {
		t.Fatalf("another user cannot even open what is for all: %v", opened)
	}
	for _, path := range opened[1:] {
		t.Errorf("another user can open %s", path)
	}
}
