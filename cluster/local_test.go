package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/local"
)

// upLocally brings a local cluster up in the folder; it goes when the test does.
func upLocally(t *testing.T, dir string, args ...string) result {
	t.Helper()
	t.Cleanup(func() { cluster(t, dir, nil, "down") })
	r := cluster(t, dir, nil, append([]string{"up", "--provider", "local"}, args...)...)
	r.want(t, 0, "Kubernetes v1.37.2", filepath.Join(dir, "kubeconfig"), "go run ./lessons/01-direct")
	return r
}

func at(t *testing.T, dir string) *folder.Folder {
	t.Helper()
	f, err := folder.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// pidOf returns the control plane's process id, 0 if it does not run.
func pidOf(t *testing.T, dir string) int {
	t.Helper()
	pid, err := local.Running(at(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// statusOf returns what status -o json says.
func statusOf(t *testing.T, dir string) (s Status) {
	t.Helper()
	r := cluster(t, dir, nil, "status", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &s); err != nil {
		t.Fatalf("status -o json: %v: %v", err, r)
	}
	return s
}

func kill(t *testing.T, dir string) {
	t.Helper()
	pid := pidOf(t, dir)
	if pid == 0 {
		t.Fatal("there is no control plane to kill")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the control plane is gone", func() bool { return pidOf(t, dir) == 0 })
}

// TestLocalLife walks one cluster through its life.
func TestLocalLife(t *testing.T) {
	needsControlPlane(t)
	dir := filepath.Join(t.TempDir(), "c")
	ctx := context.Background()
	home := t.TempDir()
	begin := time.Now()
	upLocally(t, dir)
	t.Logf("up took %.1f s", time.Since(begin).Seconds())
	client := connectTo(t, dir)

	t.Run("up again says so and starts nothing", func(t *testing.T) {
		pid := pidOf(t, dir)
		// Whatever auto would choose now that there is a fine docker.
		env := []string{"HOME=" + home, "PATH=" + fakes(t, map[string]string{"docker": docker("exit 0", "exit 0", "exit 0")})}
		cluster(t, dir, env, "up").want(t, 0, "up already", "Kubernetes v1.37.2")
		if now := pidOf(t, dir); now != pid {
			t.Errorf("process %d has become %d", pid, now)
		}
		cluster(t, dir, env, "up", "--provider", "kind").want(t, 1, "is local, not kind", "make down")
		cluster(t, dir, env, "up", "--name", "other").want(t, 1, "not other", "make down")
		cluster(t, dir, env, "up", "--port", "1").want(t, 1, "on port", "make down")
		if _, err := os.Stat(filepath.Join(home, ".kube")); err == nil {
			t.Error("~/.kube was written to")
		}
	})
	t.Run("status", func(t *testing.T) {
		cluster(t, dir, nil, "status").want(t, 0, "local-client-go-lessons-", "v1.37.2", "https://127.0.0.1:", "running")
		cluster(t, dir, nil, "kubeconfig").want(t, 0, filepath.Join(dir, "kubeconfig"))
		s, config := statusOf(t, dir), configOf(t, dir)
		want := Status{
			Running: true, Dir: dir, Provider: "local", Name: s.Name, Context: "local-" + s.Name,
			Kubeconfig: filepath.Join(dir, "kubeconfig"), Server: config.Host, Version: "v1.37.2", PID: pidOf(t, dir),
		}
		if !reflect.DeepEqual(s, want) {
			t.Errorf("status -o json: %+v, want %+v", s, want)
		}
	})
	t.Run("memory", func(t *testing.T) {
		rss := residentMB(t, pidOf(t, dir))
		t.Logf("%d MB resident", rss)
		if rss > 450 {
			t.Errorf("%d MB are resident, want at most 450", rss)
		}
	})
	t.Run("behaves as a cluster", func(t *testing.T) { behavesAsCluster(t, dir) })
	t.Run("is closed to others", func(t *testing.T) { closedToOthers(t, dir) })
	secrets := secretsOf(t, dir)

	t.Run("killed, it starts again on the same data and port", func(t *testing.T) {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "survivor"}}
		if _, err := client.CoreV1().ConfigMaps("default").Create(ctx, cm, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		port := local.LastPort(at(t, dir))
		kill(t, dir)
		r := cluster(t, dir, nil, "status")
		r.want(t, 1, "not running: its process has died", "logs ends with", "make up starts it again")
		if s := statusOf(t, dir); s.Running || s.PID != 0 || s.Problem != "its process has died" {
			t.Errorf("status -o json: %+v", s)
		}
		if lines := strings.Count(r.out, "\n"); lines > 12 {
			t.Errorf("%d lines are too many: %v", lines, r)
		}
		cluster(t, dir, nil, "up").want(t, 0, "starts on the same data")
		if now := local.LastPort(at(t, dir)); now != port {
			t.Errorf("port %d has become %d", port, now)
		}
		// The client from before the kill goes on where it was.
		if _, err := client.CoreV1().ConfigMaps("default").Get(ctx, "survivor", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("its port taken meanwhile, it moves and says so", func(t *testing.T) {
		port := local.LastPort(at(t, dir))
		kill(t, dir)
		eventually(t, "another program takes the port", func() bool {
			l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err == nil
		})
		cluster(t, dir, nil, "up").want(t, 0, "port         "+strconv.Itoa(port)+" was taken by another program")
		moved := connectTo(t, dir)
		if _, err := moved.CoreV1().ConfigMaps("default").Get(ctx, "survivor", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("on its way out when up finds it, it starts again", func(t *testing.T) {
		process, err := os.FindProcess(pidOf(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		// A process that has stopped answering and still holds its lock.
		if err := process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		cmd := command(t, dir, nil, "up")
		said, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(said)
		for lines.Scan() && !strings.Contains(lines.Text(), "waiting for the API server") {
		}
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, said)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("up: %v", err)
		}
		if _, err := connectTo(t, dir).CoreV1().ConfigMaps("default").Get(ctx, "survivor", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("tells nobody its secrets", func(t *testing.T) { tellsNoSecrets(t, dir, secrets) })
	t.Run("down leaves nothing but logs", func(t *testing.T) {
		port := local.LastPort(at(t, dir))
		begin := time.Now()
		cluster(t, dir, nil, "down").want(t, 0, "local cluster removed")
		took := time.Since(begin)
		t.Logf("down took %.1f s", took.Seconds())
		if took > 5*time.Second {
			t.Errorf("down took %v, want at most 5 s", took)
		}
		if c, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = c.Close()
			t.Errorf("port %d is still open", port)
		}
		for _, name := range []string{"controlplane.log", "controlplane.log.1"} {
			log, err := os.ReadFile(filepath.Join(dir, "logs", name))
			if err != nil || strings.Contains(string(log), "PRIVATE KEY") || strings.Contains(string(log), "Bearer ") {
				t.Errorf("%s: unreadable or with a secret in it: %v", name, err)
			}
		}
		logsTellNoSecrets(t, dir, secrets)
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 1 || left[0].Name() != "logs" {
			t.Errorf("left: %v %v", left, err)
		}
		cluster(t, dir, nil, "down").want(t, 0, "no cluster here")
		cluster(t, dir, nil, "status").want(t, 1, "none in")
	})
}

func TestTwoFoldersDoNotCollide(t *testing.T) {
	needsControlPlane(t)
	a, b := filepath.Join(t.TempDir(), "c"), filepath.Join(t.TempDir(), "c")
	var wg sync.WaitGroup
	for _, dir := range []string{a, b} {
		wg.Go(func() { upLocally(t, dir) })
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	ctx := context.Background()
	sa, err := at(t, a).State()
	if err != nil {
		t.Fatal(err)
	}
	sb, err := at(t, b).State()
	if err != nil {
		t.Fatal(err)
	}
	if sa.Name == sb.Name {
		t.Errorf("both are named %s", sa.Name)
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}
	if _, err := connectTo(t, a).CoreV1().ConfigMaps("default").Create(ctx, cm, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := connectTo(t, b).CoreV1().ConfigMaps("default").Get(ctx, "mine", metav1.GetOptions{}); err == nil {
		t.Error("one folder's data is in the other's cluster")
	}
	strangersAreRefused(t, a, b)

	cluster(t, a, nil, "down").want(t, 0)
	cluster(t, b, nil, "status").want(t, 0, "running")
}

func TestTwoUpsAtOnceMakeOneCluster(t *testing.T) {
	needsControlPlane(t)
	dir := filepath.Join(t.TempDir(), "c")
	t.Cleanup(func() { cluster(t, dir, nil, "down") })
	results := make([]result, 3)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i] = cluster(t, dir, nil, "up", "--provider", "local") })
	}
	wg.Wait()
	started := 0
	for _, r := range results {
		r.want(t, 0, "Kubernetes v1.37.2")
		if strings.Contains(r.errout, "ready        after") {
			started++
		}
	}
	if started != 1 {
		t.Errorf("%d of them started a control plane, want 1: %v", started, results)
	}
}

func TestInterruptedUpStopsWhatItStarted(t *testing.T) {
	needsControlPlane(t)
	dir := filepath.Join(t.TempDir(), "c")
	up := command(t, dir, nil, "up", "--provider", "local")
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the control plane starts", func() bool { return pidOf(t, dir) != 0 })
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = up.Wait()
	if code := up.ProcessState.ExitCode(); code != 130 {
		t.Errorf("want exit code 130, got %d", code)
	}
	if pid := pidOf(t, dir); pid != 0 {
		t.Errorf("process %d still runs", pid)
	}
	cluster(t, dir, nil, "status").want(t, 1, "its start was interrupted")
	cluster(t, dir, nil, "down").want(t, 0)
}

func TestDownAfterUpWasKilledHalfway(t *testing.T) {
	needsControlPlane(t)
	dir := filepath.Join(t.TempDir(), "c")
	up := command(t, dir, nil, "up", "--provider", "local")
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	// The folder for data is made just before the process is started: this is
	// as early as a control plane can be there unknown to anybody.
	eventually(t, "the start begins", func() bool {
		_, err := os.Stat(filepath.Join(dir, "logs", "controlplane.log"))
		return err == nil
	})
	if err := up.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = up.Wait()
	cluster(t, dir, nil, "down").want(t, 0, "removed")
	if pid := pidOf(t, dir); pid != 0 {
		t.Errorf("process %d still runs", pid)
	}
}

func TestControlPlaneEndsWithItsFolder(t *testing.T) {
	needsControlPlane(t)
	dir := filepath.Join(t.TempDir(), "c")
	upLocally(t, dir)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(local.LastPort(at(t, dir))))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the control plane ends", func() bool {
		c, err := net.Dial("tcp4", address)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
}

func TestDeathDuringStartShowsTheLog(t *testing.T) {
	needsControlPlane(t)
	dir := filepath.Join(t.TempDir(), "c")
	// A file where etcd wants its folder.
	if err := os.MkdirAll(filepath.Join(dir, "local"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "local", "etcd"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := cluster(t, dir, nil, "up", "--provider", "local")
	r.want(t, 1, "ended while it was starting", "end of its log", "controlplane.log")
	cluster(t, dir, nil, "down").want(t, 0)
}
