package compile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"client-go-lessons/cluster/internal/hint"
	"client-go-lessons/cluster/internal/say"
)

// mainPackage is the last package to be compiled; then comes the link.
const mainPackage = "client-go-lessons/cluster/controlplane"

// build compiles the control plane to out and shows how far it has come.
func build(ctx context.Context, source, out string, p *say.Printer) error {
	start := time.Now()
	p.Line("compiling    etcd and Kubernetes %s from their Go modules: minutes the first time, once", Version)
	defer p.Done()

	watch := &watcher{p: p, start: start}
	total, err := stale(ctx, source, watch)
	if err != nil {
		return err
	}
	watch.total = total
	args := append([]string{"build", "-v", "-buildvcs=false"}, buildFlags...)
	args = append(args, "-ldflags", ldflags(), "-o", out, "./controlplane")
	if _, err := goCommand(ctx, source, watch, args...); err != nil {
		return err
	}
	p.Line("compiled     %d packages in %s", watch.done, time.Since(start).Round(time.Second))
	return nil
}

// stale returns how many packages are yet to be compiled.
func stale(ctx context.Context, source string, watch *watcher) (int, error) {
	args := append([]string{"list", "-buildvcs=false", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, buildFlags...)
	out, err := goCommand(ctx, source, watch, append(args, "./controlplane")...)
	return len(strings.Fields(out)), err
}

// goCommand runs the go command, shows its messages to watch, and returns its
// output.
func goCommand(ctx context.Context, source string, watch *watcher, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off")
	// A group of its own, so that an interrupt ends the compilers too, and they
	// are given a moment to clean up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, w := io.Pipe()
	cmd.Stderr = w
	read := make(chan struct{})
	go func() {
		watch.read(stderr)
		close(read)
	}()
	err := cmd.Run()
	_ = w.Close()
	<-read
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		// What ignored the interrupt is not worth waiting for.
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		return "", context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(watch.messages) > 0 {
		err = errors.New(strings.Join(watch.messages, "\n  "))
	}
	return "", hint.New("run it again: what is compiled and downloaded is kept; or use Docker: --provider kind",
		"compile the local control plane: %w", err)
}

// watcher follows what the go command says.
type watcher struct {
	p          *say.Printer
	start      time.Time
	total      int
	done       int
	downloaded int
	messages   []string
}

func (w *watcher) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		w.line(lines.Text())
	}
	// The rest, if a line was too long, must not block the writer.
	_, _ = io.Copy(io.Discard, r)
}

func (w *watcher) line(line string) {
	seconds := int(time.Since(w.start).Seconds())
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		w.downloaded++
		w.p.Progress("downloading  %d Go modules, %d s", w.downloaded, seconds)
	case line == mainPackage:
		w.done++
		w.p.Progress("linking      after %d s", seconds)
	case isPackage(line):
		w.done++
		// Each line is a package begun; the one before it is hardly done yet.
		w.p.Progress("compiling    %d of %d packages, %d s", w.done, max(w.total, w.done), seconds)
	case strings.TrimSpace(line) != "":
		w.messages = append(w.messages, strings.TrimSpace(line))
		w.messages = w.messages[max(0, len(w.messages)-5):]
	}
}

// isPackage tells whether a line of `go build -v` is a package, not a message.
func isPackage(line string) bool {
	return line != "" && !strings.ContainsAny(line, " \t:#")
}

// String makes a watcher printable in a test's failure.
func (w *watcher) String() string {
	return fmt.Sprintf("%d of %d, %d downloaded, %q", w.done, w.total, w.downloaded, w.messages)
}
