package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envconf"

	"client-go-lessons/internal/observer"
)

var update = flag.Bool("update", false, "rewrite the recorded runs, lessons/*/output.txt")

var (
	testenv env.Environment
	lab     laboratory
)

// laboratory is what all tests share.
type laboratory struct {
	dir      string // for files of this run
	provider string // kind, local or existing
	engine   string // kind's: docker, podman or nerdctl
	version  string // of Kubernetes, as the server says it
	config   *rest.Config
	client   *kubernetes.Clientset // the test's own, past the observer
	observer *observer.Observer

	progressed func() // ends the showing of progress

	building sync.Mutex
	binaries map[string]string // by lesson
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == janitorArg {
		os.Exit(janitor())
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	began := time.Now()
	dir, err := os.MkdirTemp("", "client-go-lessons-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	lab.dir, lab.binaries = dir, map[string]string{}
	// Whatever makes a temporary file from here on makes it where the janitor will remove it:
	// e2e-framework leaves the kubeconfig of each kind cluster behind.
	if err := os.Setenv("TMPDIR", dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}

	provider, err := chooseProvider()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	lab.provider, lab.engine = provider.name, provider.engine

	// From here on the janitor cleans up, whatever becomes of this process.
	finish, err := startJanitor(provider)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: start the janitor:", err)
		return 1
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		fmt.Fprintln(os.Stderr, "e2e: interrupted, removing the cluster")
		_ = finish()
		os.Exit(130)
	}()

	testenv = env.NewWithConfig(envconf.New())
	testenv.Setup(provider.create, open)
	testenv.Finish(export, shut)
	code := testenv.Run(m)
	if code != 0 && lab.client == nil {
		fmt.Fprintln(os.Stderr, "e2e: the setup failed, so no test ran")
	}
	if err := finish(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: clean up:", err)
		code = max(code, 1)
	}
	summarize(code, time.Since(began))
	return code
}

// open connects to the cluster and puts the observer in front of it.
func open(ctx context.Context, cfg *envconf.Config) (context.Context, error) {
	lab.config = rest.CopyConfig(cfg.Client().RESTConfig())
	lab.config.QPS = -1
	client, err := kubernetes.NewForConfig(lab.config)
	if err != nil {
		return ctx, err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return ctx, fmt.Errorf("reach the cluster: %w", err)
	}
	lab.version = version.GitVersion
	if lab.observer, err = observer.Start(lab.config); err != nil {
		return ctx, fmt.Errorf("start the observer: %w", err)
	}
	lab.client = client
	lab.progressed = showProgress()
	return ctx, nil
}

// export saves the cluster's logs when a test failed: they are gone with the cluster.
func export(ctx context.Context, _ *envconf.Config) (context.Context, error) {
	if !failed.Load() {
		return ctx, nil
	}
	return ctx, exportLogs(ctx)
}

func shut(ctx context.Context, _ *envconf.Config) (context.Context, error) {
	if lab.progressed != nil {
		lab.progressed()
	}
	if lab.observer != nil {
		return ctx, lab.observer.Close()
	}
	return ctx, nil
}

// summarize says what was really used. go test shows the output of a passing package only when
// asked to, so make e2e reads it from a file.
func summarize(code int, took time.Duration) {
	result := "PASS"
	if code != 0 {
		result = "FAIL"
	}
	version := lab.version
	if version == "" {
		version = "(never reached)"
	}
	line := fmt.Sprintf("e2e: %s on %s, Kubernetes %s, client-go %s, in %.0f s",
		result, lab.provider, version, clientGoVersion(), took.Seconds())
	fmt.Println(line)
	if path := os.Getenv("E2E_SUMMARY"); path != "" {
		if err := os.WriteFile(path, []byte(line+"\n"), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
	}
}
