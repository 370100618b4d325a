package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"client-go-lessons/bench/internal/result"
	"client-go-lessons/internal/cluster"
)

// root is the top of the repository, seen from where the program runs: bench/, or the top itself.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "cluster", "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not in the repository: run make bench at its top", dir)
		}
	}
}

// command runs a program to its end, and tells the end of its output if it fails.
func command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	interruptible(cmd)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, tail(out.String(), 5))
	}
	return nil
}

// interruptible ends the program and all that it started when its context ends: with an interrupt
// first, so that it can clean up.
func interruptible(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 20 * time.Second
}

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// ownCluster is a local cluster that we have started.
type ownCluster struct {
	cluster *cluster.Cluster
	tool    string
	dir     string
}

// startCluster starts one with bin/cluster, in a folder of its own.
func startCluster(ctx context.Context) (_ *ownCluster, err error) {
	top, err := root()
	if err != nil {
		return nil, err
	}
	c := &ownCluster{tool: filepath.Join(top, "bin", "cluster")}
	if c.dir, err = os.MkdirTemp("", "client-go-lessons-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.down())
		}
	}()
	if err := command(ctx, top, nil, c.tool, "up", "--provider", "local", "--dir", c.dir); err != nil {
		return nil, err
	}
	c.cluster, err = cluster.Connect(ctx, filepath.Join(c.dir, "kubeconfig"), "")
	return c, err
}

// restart kills the cluster's process and starts it again on the same data.
func (c *ownCluster) restart(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, c.tool, "status", "--dir", c.dir).Output()
	if err != nil {
		return fmt.Errorf("cluster status: %w: %s", err, tail(string(out), 3))
	}
	m := oneProcess.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("cluster status names no process: %s", out)
	}
	pid, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the control plane (%d): %w", pid, err)
	}
	return command(ctx, c.dir, nil, c.tool, "up", "--provider", "local", "--dir", c.dir)
}

var oneProcess = regexp.MustCompile(`one process \((\d+)\)`)

func (c *ownCluster) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := command(ctx, c.dir, nil, c.tool, "down", "--dir", c.dir); err != nil {
		return err
	}
	return os.RemoveAll(c.dir)
}

// starts measures how long the local control plane takes to be ready, against etcd and
// kube-apiserver by themselves: the upstream programs, compiled from the same modules.
func (l *lab) starts(ctx context.Context, rounds int) (_ *result.Start, err error) {
	top, err := root()
	if err != nil {
		return nil, err
	}
	l.say.step("ourselves: compiling etcd and kube-apiserver by themselves")
	bin := filepath.Join(top, "bin", "floor")
	for name, pkg := range map[string]string{
		"etcd": "go.etcd.io/etcd/server/v3", "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
	} {
		err := command(ctx, filepath.Join(top, "cluster"), []string{"CGO_ENABLED=0", "GOWORK=off"}, "go", "build", "-trimpath",
			"-ldflags", "-s -w", "-o", filepath.Join(bin, name), pkg)
		if err != nil {
			return nil, err
		}
	}
	s := &result.Start{}
	var whole, etcds, servers []float64
	for round := range rounds {
		l.say.step("ourselves: start of the control plane, round %d", round+1)
		began := time.Now()
		own, err := startCluster(ctx)
		if err != nil {
			return nil, err
		}
		one := result.StartRound{Whole: time.Since(began).Seconds()}
		if err := own.down(); err != nil {
			return nil, err
		}
		if one.Etcd, one.Server, err = floorStart(ctx, bin); err != nil {
			return nil, err
		}
		s.Rounds = append(s.Rounds, one)
		whole, etcds, servers = append(whole, one.Whole), append(etcds, one.Etcd), append(servers, one.Server)
	}
	s.Whole, s.Etcd, s.Server = result.Median(whole...), result.Median(etcds...), result.Median(servers...)
	return s, nil
}

// floorStart starts etcd until it is healthy, then kube-apiserver on it until it is ready.
func floorStart(ctx context.Context, bin string) (etcd, server float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "client-go-lessons-floor-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ports, err := freePorts(3)
	if err != nil {
		return 0, 0, err
	}
	client, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	etcd, stopEtcd, err := ready(ctx, client+"/health", filepath.Join(bin, "etcd"), "--data-dir", filepath.Join(dir, "etcd"),
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer,
		"--unsafe-no-fsync", "--log-level", "error", "--heartbeat-interval", "10", "--election-timeout", "100")
	defer stopEtcd()
	if err != nil {
		return 0, 0, err
	}
	key := filepath.Join(dir, "sa.key")
	if err := serviceAccountKey(key); err != nil {
		return 0, 0, err
	}
	server, stopServer, err := ready(ctx, "https://127.0.0.1:"+ports[2]+"/readyz", filepath.Join(bin, "kube-apiserver"),
		"--etcd-servers", client, "--bind-address", "127.0.0.1", "--secure-port", ports[2], "--cert-dir", dir,
		"--authorization-mode", "Node,RBAC", "--service-cluster-ip-range", "10.96.0.0/16",
		"--endpoint-reconciler-type", "none", "--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file", key, "--service-account-signing-key-file", key)
	stopServer()
	return etcd, server, err
}

// ready starts a program and returns how many seconds it took until url answered 200.
func ready(ctx context.Context, url, name string, args ...string) (seconds float64, stop func(), err error) {
	cmd := exec.Command(name, args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, func() {}, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in its log
	}()
	// Whatever it holds is thrown away, so nothing is lost by a kill.
	stop = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	// Its certificate is made by itself a moment before: there is nobody to ask for it.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec
	defer transport.CloseIdleConnections()
	for {
		if answers(ctx, transport, url) {
			return time.Since(began).Seconds(), stop, nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ended:
			return 0, stop, fmt.Errorf("%s ended before it was ready: %s", filepath.Base(name), tail(log.String(), 3))
		case <-ctx.Done():
			return 0, stop, fmt.Errorf("%s is not ready: %w", filepath.Base(name), ctx.Err())
		}
	}
}

func answers(ctx context.Context, transport http.RoundTripper, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// clone measures the way of a newcomer: git clone, make up, the first line of lesson 01. Then, in
// another clone, go build of the same packages. Cold means with empty caches of compiled code; the
// modules' sources are there.
func (l *lab) clone(ctx context.Context, cold bool) (_ *result.Clone, err error) {
	top, err := root()
	if err != nil {
		return nil, err
	}
	name := "warm"
	if cold {
		name = "cold"
	}
	dir, err := os.MkdirTemp("", "client-go-lessons-clone-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// caches makes new ones. The tool keeps the compiled control plane in the user's cache folder.
	caches := func(name string) []string {
		env := []string{"KUBECONFIG=", "GOFLAGS=" + os.Getenv("GOFLAGS")}
		if cold {
			env = append(env, "GOCACHE="+filepath.Join(dir, name+"-gocache"), "XDG_CACHE_HOME="+filepath.Join(dir, name+"-cache"))
		}
		return env
	}
	c := &result.Clone{}
	timed := func(to *float64, run func() error) error {
		began := time.Now()
		err := run()
		*to = time.Since(began).Seconds()
		return err
	}

	learner, env := filepath.Join(dir, "learner"), caches("learner")
	l.say.step("ourselves: from clone to first lesson, %s", name)
	err = timed(&c.Clone, func() error { return command(ctx, dir, nil, "git", "clone", "-q", top, learner) })
	if err != nil {
		return nil, err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = errors.Join(err, command(ending, learner, env, "make", "down"))
	}()
	err = timed(&c.Up, func() error { return command(ctx, learner, env, "make", "up", "PROVIDER=local") })
	if err != nil {
		return nil, err
	}
	if c.Lesson, err = firstLine(ctx, learner, env, "go", "run", "./lessons/01-direct", "-step", "1"); err != nil {
		return nil, err
	}
	c.Total = c.Clone + c.Up + c.Lesson

	l.say.step("ourselves: go build of the same packages, %s", name)
	builder, env2 := filepath.Join(dir, "builder"), caches("builder")
	if err := command(ctx, dir, nil, "git", "clone", "-q", top, builder); err != nil {
		return nil, err
	}
	static := append(env2, "CGO_ENABLED=0", "GOWORK=off")
	err = timed(&c.Build, func() error {
		out := filepath.Join(dir, "out")
		if err := os.Mkdir(out, 0o755); err != nil {
			return err
		}
		if err := command(ctx, filepath.Join(builder, "cluster"), static, "go", "build", "-trimpath", "-buildvcs=false",
			"-o", out, "."); err != nil {
			return err
		}
		if err := command(ctx, filepath.Join(builder, "cluster"), static, "go", "build", "-trimpath", "-buildvcs=false",
			"-tags", "controlplane", "-ldflags", "-s -w", "-o", out, "./controlplane"); err != nil {
			return err
		}
		return command(ctx, builder, env2, "go", "build", "-buildvcs=false", "-o", out, "./lessons/01-direct")
	})
	return c, err
}

// firstLine runs a program to its end, and returns how many seconds it took until it printed something.
func firstLine(ctx context.Context, dir string, env []string, name string, args ...string) (seconds float64, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	interruptible(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	_, silent := io.ReadFull(out, make([]byte, 1))
	seconds = time.Since(began).Seconds()
	_, _ = io.Copy(io.Discard, out)
	if err := errors.Join(silent, cmd.Wait()); err != nil {
		return 0, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, tail(complaints.String(), 3))
	}
	return seconds, nil
}

// suites runs make e2e, and each lesson by itself, on a cluster that nothing else has filled: on
// the lab's, after an hour, a lesson would sweep away our own namespaces as leftovers.
func (l *lab) suites(ctx context.Context) (_ *result.Suite, err error) {
	top, err := root()
	if err != nil {
		return nil, err
	}
	own, err := startCluster(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, own.down()) }()
	s := &result.Suite{Lessons: map[string]float64{}}
	lessons, err := filepath.Glob(filepath.Join(top, "lessons", "*"))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "client-go-lessons-suites-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, path := range lessons {
		name := filepath.Base(path)
		l.say.step("ourselves: lesson %s", name)
		binary := filepath.Join(dir, name)
		if err := command(ctx, top, nil, "go", "build", "-o", binary, "./lessons/"+name); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := command(ctx, top, nil, binary, "-kubeconfig", filepath.Join(own.dir, "kubeconfig")); err != nil {
			return nil, err
		}
		s.Lessons[name] = time.Since(began).Seconds()
		s.Sum += s.Lessons[name]
	}
	l.say.step("ourselves: make e2e")
	began := time.Now()
	if err := command(ctx, top, []string{"E2E_CLUSTER=local", "KUBECONFIG="}, "make", "e2e"); err != nil {
		return nil, err
	}
	s.E2E = time.Since(began).Seconds()
	return s, nil
}

// serviceAccountKey writes a key with which the server signs and checks tokens.
func serviceAccountKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return os.WriteFile(path, pem.EncodeToMemory(&block), 0o600)
}
