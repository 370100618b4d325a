package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// janitorArg makes the test binary act as the janitor.
const janitorArg = "e2e-janitor"

// chores is what the janitor does in the end.
type chores struct {
	Commands [][]string
	Remove   []string // files and folders
}

// startJanitor starts a process that cleans up when finish is called or when this process ends in
// whatever way: a panic, a test timeout and a SIGKILL run no deferred function. The cluster is
// removed even if its creation failed halfway, where e2e-framework would leave it.
func startJanitor(p provider) (finish func() error, err error) {
	todo := chores{Commands: p.remove, Remove: []string{lab.dir}}
	if os.Getenv("KEEP") != "" {
		todo = chores{}
		fmt.Fprintf(os.Stderr, "e2e: KEEP is set: the cluster and %s stay\n", lab.dir)
	}
	raw, err := json.Marshal(todo)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(logs(), "janitor.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// A group of its own keeps it from the Ctrl-C that ends this process; no output of this process
	// is shared, or go test would wait for it.
	cmd := exec.Command(self, janitorArg)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = log, log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(stdin, "%s\n", raw); err != nil {
		return nil, err
	}
	return sync.OnceValue(func() error {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	}), nil
}

// janitor reads what there is to do, waits until the other end of the pipe is closed, and does it.
// go test removes the binary that this process runs from, so it starts nothing else from it.
func janitor() int {
	var todo chores
	in := json.NewDecoder(os.Stdin)
	if err := in.Decode(&todo); err != nil {
		return 0 // ended before there was anything to clean up
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	var errs []error
	for _, c := range todo.Commands {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("%v: %w: %s", c, err, out))
		}
	}
	for _, path := range todo.Remove {
		errs = append(errs, os.RemoveAll(path))
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}
