package compile

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"client-go-lessons/cluster/internal/hint"
	"client-go-lessons/cluster/internal/say"
)

// mainPackage is the last package to be compiled; then comes the link.
const mainPackage = "client-go-lessons/cluster/controlplane"

// build compiles the control plane to out and shows how far it has come.
func build(ctx context.Context, source, out string, p *say.Printer) error {
	ctx, stop := context.WithCancel(ctx)
	w := &watcher{p: p, start: time.Now()}
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	w.begun = func() {
		background.Go(func() { w.setTotal(stale(ctx, source)) })
	}
	background.Go(func() { w.tick(ctx) })

	err := goCommand(ctx, source, io.Discard, w.read,
		"build", "-v", "-buildvcs=false", "-tags", tag, "-ldflags", ldflags(), "-o", out, "./controlplane")
	stop()
	background.Wait()
	p.Done()
	var exit *exec.ExitError
	switch {
	case err == nil:
		if w.done > 0 {
			p.Line("compiled     %s in %s", number(w.done, "package"), say.Duration(time.Since(w.start)))
		}
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &exit) && len(w.messages) > 0:
		err = errors.New(strings.Join(w.messages, "\n  "))
	}
	return hint.New("run it again: what is compiled and downloaded is kept; or use Docker: make up PROVIDER=kind",
		"compile the local control plane: %w", err)
}

// stale returns how many packages are yet to be compiled, 0 if it cannot be told.
func stale(ctx context.Context, source string) int {
	var out strings.Builder
	err := goCommand(ctx, source, &out, func(r io.Reader) { _, _ = io.Copy(io.Discard, r) },
		"list", "-buildvcs=false", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", "-tags", tag, "./controlplane")
	if err != nil {
		return 0
	}
	return len(strings.Fields(out.String()))
}

// goCommand runs the go command, and hands to read what it writes to standard
// error.
func goCommand(ctx context.Context, source string, stdout io.Writer, read func(io.Reader), args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = source
	cmd.Env = goEnvironment()
	// A group of its own, so that an interrupt ends the compilers too, and they
	// are given a moment to clean up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdout = stdout
	stderr, in := io.Pipe()
	cmd.Stderr = in
	done := make(chan struct{})
	go func() {
		defer close(done)
		read(stderr)
	}()
	err := cmd.Run()
	_ = in.Close()
	<-done
	if err != nil && ctx.Err() != nil {
		// What ignored the interrupt is not worth waiting for.
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		return context.Cause(ctx)
	}
	return err
}

// goEnvironment is ours but for what would have the go command use other modules
// than go.mod says: a go.work in a folder above, -mod=vendor in GOFLAGS.
func goEnvironment() []string {
	var flags []string
	for _, f := range strings.Fields(os.Getenv("GOFLAGS")) {
		if !strings.HasPrefix(strings.TrimLeft(f, "-"), "mod=") {
			flags = append(flags, f)
		}
	}
	return append(os.Environ(), "GOWORK=off", "GOFLAGS="+strings.Join(flags, " "))
}

// patience is how long the go command may take without a word from us.
const patience = 2 * time.Second

// watcher follows what the go command says.
type watcher struct {
	p     *say.Printer
	start time.Time
	begun func() // called once, with the first package

	mu         sync.Mutex
	total      int // packages to compile, 0 until it is known
	done       int
	downloaded int
	linking    bool
	messages   []string
}

// tick shows, every second until the context ends, how far it is.
func (w *watcher) tick(ctx context.Context) {
	told := false
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		if time.Since(w.start) < patience {
			continue
		}
		w.mu.Lock()
		text, long := w.state(), w.total > manyPackages
		w.mu.Unlock()
		if long && !told {
			told = true
			w.p.Line("compiling    etcd and Kubernetes %s from their Go modules: once, minutes", Version)
			w.p.Line("meanwhile    docs/01-direct.md is the page of the first lesson")
		}
		w.p.Progress("%s · %s", text, say.Duration(time.Since(w.start)))
	}
}

// manyPackages is how many take long enough to read something meanwhile.
const manyPackages = 100

// state says what is being done. The caller holds the lock.
func (w *watcher) state() string {
	switch {
	case w.linking:
		return "linking      the local control plane"
	case w.total > 0:
		// Each line is a package begun; the one before it is hardly done yet.
		return "compiling    " + say.Number(w.done) + " of " + number(max(w.total, w.done), "package")
	case w.done > 0:
		return "compiling    " + number(w.done, "package")
	case w.downloaded > 0:
		return "downloading  " + number(w.downloaded, "Go module")
	}
	return "building     the local control plane"
}

func (w *watcher) setTotal(left int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if left > 0 {
		w.total = w.done + left
	}
}

// read takes in what the go command says, to its end.
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
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		w.downloaded++
	case isPackage(line):
		w.done++
		w.linking = line == mainPackage
		if w.done == 1 && w.begun != nil {
			w.begun()
		}
	case strings.TrimSpace(line) != "":
		w.messages = append(w.messages, strings.TrimSpace(line))
		w.messages = w.messages[max(0, len(w.messages)-5):]
	}
}

// isPackage tells whether a line of `go build -v` is a package, not a message.
func isPackage(line string) bool {
	return line != "" && !strings.ContainsAny(line, " \t:#")
}

// number writes a count of things, such as "1,204 packages".
func number(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return say.Number(n) + " " + thing
}
