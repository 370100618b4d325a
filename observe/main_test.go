package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Which program this test binary is: the test, observe itself, or a command that observe runs.
const asObserve, asCommand = "OBSERVE_TEST_MAIN", "OBSERVE_TEST_COMMAND"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asObserve) != "":
		_ = os.Unsetenv(asObserve) // not for the command
		os.Exit(run(os.Args[1:]))
	case os.Getenv(asCommand) != "":
		os.Exit(command(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// command is the program that observe runs in these tests.
func command(args []string) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		fmt.Println(err)
		return 3
	}
	config.QPS = -1
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return 3
	}
	configMaps := clientset.CoreV1().ConfigMaps("prod")
	for _, arg := range args {
		switch arg {
		case "cat":
			_, _ = io.Copy(os.Stdout, os.Stdin)
		case "get":
			err := clientset.CoreV1().RESTClient().Get().Namespace("prod").Resource("configmaps").Name("app").
				MaxRetries(0).Do(context.Background()).Error()
			fmt.Println("get:", err)
		case "watch":
			w, err := configMaps.Watch(context.Background(), metav1.ListOptions{})
			if err != nil {
				return 3
			}
			for range 2 {
				fmt.Println("event:", (<-w.ResultChan()).Type)
			}
			w.Stop()
		case "wait":
			fmt.Println("waiting", os.Getenv("KUBECONFIG"))
			fmt.Println("got", <-signals)
		case "fail":
			return 7
		case "die":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
	return 0
}

// fakeCluster answers as much as these tests ask, with the token of the kubeconfig that it returns.
func fakeCluster(t *testing.T) (*httptest.Server, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		const object = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"app","namespace":"prod","resourceVersion":"8"}}`
		switch {
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/version":
			fmt.Fprint(w, `{"major":"1","minor":"37","gitVersion":"v1.37.2"}`)
		case r.URL.Query().Get("watch") == "true":
			for _, event := range []string{"ADDED", "MODIFIED"} {
				fmt.Fprintf(w, `{"type":%q,"object":%s}`+"\n", event, object)
			}
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			fmt.Fprint(w, object)
		}
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server.URL,
		CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: "secret"}
	config.Contexts["fake"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u", Namespace: "prod"}
	config.CurrentContext = "fake"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return server, path
}

// process is a running observe.
type process struct {
	cmd    *exec.Cmd
	out    *bufio.Reader
	stdin  io.WriteCloser
	stderr bytes.Buffer
}

func start(t *testing.T, kubeconfig string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	p := &process{cmd: exec.CommandContext(ctx, os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), asObserve+"=1", asCommand+"=1", "KUBECONFIG="+kubeconfig, "TMPDIR="+t.TempDir())
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal
	p.cmd.Stderr = &p.stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// line returns the next line of the output.
func (p *process) line(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%v after %q; standard error:\n%s", err, line, p.stderr.String())
	}
	return strings.TrimSuffix(line, "\n")
}

// wait returns what is left of the output, and the exit code.
func (p *process) wait(t *testing.T) (string, int) {
	t.Helper()
	_ = p.stdin.Close()
	out, err := io.ReadAll(p.out)
	if err != nil {
		t.Error(err)
	}
	var failed *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return string(out), p.cmd.ProcessState.ExitCode()
}

// left fails if the process has left a file behind.
func (p *process) left(t *testing.T) {
	t.Helper()
	for _, v := range p.cmd.Env {
		if dir, ok := strings.CutPrefix(v, "TMPDIR="); ok && dir != os.Getenv("TMPDIR") {
			if files, _ := filepath.Glob(dir + "/*"); len(files) > 0 {
				t.Errorf("left: %v", files)
			}
		}
	}
}

func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("want %q in:\n%s", part, text)
		}
	}
}

func TestInputOutputAndExitCodeAreTheCommands(t *testing.T) {
	_, kubeconfig := fakeCluster(t)
	for arg, code := range map[string]int{"fail": 7, "die": 137, "": 0} {
		p := start(t, kubeconfig, "--", os.Args[0], "cat", "get", arg)
		_, _ = io.WriteString(p.stdin, "typed\n")
		out, got := p.wait(t)
		if out != "typed\nget: <nil>\n" || got != code {
			t.Errorf("%q: exit code %d, want %d; output %q", arg, got, code, out)
		}
		wants(t, p.stderr.String(), "1 request, 1 connection", "configmaps   get           1")
		p.left(t)
	}
}

func TestSignalsReachTheCommand(t *testing.T) {
	_, kubeconfig := fakeCluster(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := start(t, kubeconfig, "--", os.Args[0], "wait")
		p.line(t)
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if out, code := p.wait(t); out != fmt.Sprintf("got %s\n", sig) || code != 0 {
			t.Errorf("output %q, exit code %d", out, code)
		}
		p.left(t)
	}
}

func TestReportOnRequest(t *testing.T) {
	_, kubeconfig := fakeCluster(t)
	p := start(t, kubeconfig, "--", os.Args[0], "get", "wait")
	p.line(t)
	p.line(t)
	if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	if n := strings.Count(p.stderr.String(), "1 request, 1 connection"); n != 2 {
		t.Errorf("%d reports, want 2:\n%s", n, &p.stderr)
	}
}

func TestWithoutTheTokenNothingIsRead(t *testing.T) {
	_, kubeconfig := fakeCluster(t)
	p := start(t, kubeconfig, "-serve")
	path, _ := strings.CutPrefix(p.line(t), "export KUBECONFIG=")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v; want a file for its owner alone", path, info.Mode(), err)
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	current := config.Contexts[config.CurrentContext]
	if config.CurrentContext != "fake" || current.Namespace != "prod" {
		t.Errorf("context %q with namespace %q", config.CurrentContext, current.Namespace)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	response, err := client.Get(config.Clusters[current.Cluster].Server + "/api/v1/namespaces/prod/configmaps/app")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized || bytes.Contains(body, []byte("ConfigMap")) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, code := p.wait(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C; %s", code, &p.stderr)
	}
	p.left(t)
}

func TestClearWordsForWhatDoesNotWork(t *testing.T) {
	_, kubeconfig := fakeCluster(t)
	raw, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	remote := filepath.Join(t.TempDir(), "remote")
	i := bytes.Index(raw, []byte("server: "))
	end := i + bytes.IndexByte(raw[i:], '\n')
	if err := os.WriteFile(remote, bytes.Join([][]byte{raw[:i], raw[end:]}, []byte("server: https://192.0.2.1")), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, kubeconfig string
		args             []string
		code             int
		says             []string
	}{
		{"no command", kubeconfig, nil, 2, []string{"no command to run", "-h"}},
		{"two things at once", kubeconfig, []string{"-serve", "true"}, 2, []string{"-serve runs no command"}},
		{"an unknown command", kubeconfig, []string{"nosuchcommand"}, 127, []string{"no command nosuchcommand", "./nosuchcommand"}},
		{"a command that is none", kubeconfig, []string{file}, 126, []string{"no program that you may run", "chmod"}},
		{"a fault that is none", kubeconfig, []string{"-fault", "get/x: 418", "true"}, 2, []string{`no fault "418"`}},
		{"a cluster elsewhere", remote, []string{"true"}, 1, []string{"not on this machine", "-context fake"}},
		{"no request", kubeconfig, []string{"true"}, 0, []string{"no request was seen", "KUBECONFIG", "without a request for any object", "informer"}},
		{"no folder for -json", kubeconfig, []string{"-json", "/nosuch/file", "true"}, 1, []string{"-json: open /nosuch/file", "Nothing was started"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, test.kubeconfig, test.args...)
			if out, code := p.wait(t); code != test.code || out != "" {
				t.Errorf("exit code %d, want %d; output %q", code, test.code, out)
			}
			wants(t, p.stderr.String(), test.says...)
			p.left(t)
		})
	}
}

func TestServerThatGoesAway(t *testing.T) {
	server, kubeconfig := fakeCluster(t)
	p := start(t, kubeconfig, "-serve")
	path, _ := strings.CutPrefix(p.line(t), "export KUBECONFIG=")
	server.CloseClientConnections()
	server.Close()
	get := exec.Command(os.Args[0], "get", "get")
	get.Env = append(os.Environ(), asCommand+"=1", "KUBECONFIG="+path)
	out, err := get.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "connection reset by peer") && !strings.Contains(string(out), "EOF") {
		t.Errorf("%v: %s", err, out)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	wants(t, p.stderr.String(), "does not answer: connection refused", "The server did not answer 2 requests")
	if n := strings.Count(p.stderr.String(), "does not answer"); n != 1 {
		t.Errorf("it says so %d times, want once:\n%s", n, &p.stderr)
	}
}
