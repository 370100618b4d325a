package exercise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"client-go-lessons/internal/cluster"
)

// grace is how long a program may take to end after Ctrl-C.
const grace = 2 * time.Second

// alone runs the program without the judge, as a process of its own: so its namespace goes, however
// the program ends, and Ctrl-C ends a program that does not look at its context.
func alone(source string) (code int) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	asked := make(chan int, 1) // to end: the exit code
	go func() {
		code := 130
		if s := <-signals; s == syscall.SIGTERM {
			code = 143
		}
		asked <- code
		cancel()
	}()

	code, err := runAlone(ctx, source, signals)
	select {
	case code = <-asked:
	default:
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, cluster.Explain(err))
		if code == 0 {
			code = 1
		}
	}
	return code
}

func runAlone(ctx context.Context, source string, again <-chan os.Signal) (code int, err error) {
	folder := folderOf(source)
	about, err := Read(folder)
	if err != nil {
		return 1, err
	}
	c, err := cluster.Connect(ctx, "", "")
	if err != nil {
		return 1, err
	}
	name := filepath.Base(folder)
	namespace, remove, err := cluster.Scratch(ctx, c, "exercise", name, about.Stage)
	// What is left behind is never passed over in silence.
	defer func() {
		if left := remove(); left != nil {
			err = left
		}
	}()
	if err != nil {
		return 1, err
	}
	fmt.Fprintf(os.Stderr, "Nobody judges this run, and nobody changes namespace %s.\n", namespace)
	fmt.Fprintf(os.Stderr, "Ctrl-C ends it. To have it judged: make exercise N=%.2s\n", name)
	return runChild(ctx, namespace, again)
}

// runChild runs this very program once more, in the namespace.
func runChild(ctx context.Context, namespace string, again <-chan os.Signal) (code int, err error) {
	path, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), NamespaceEnv+"="+namespace)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	stdin, err := cmd.StdinPipe() // closed when this process is gone, and then the child ends
	if err != nil {
		return 1, err
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in the ProcessState
	}()
	select {
	case <-ended:
		if code = cmd.ProcessState.ExitCode(); code < 0 {
			code = 1 // a signal that is not ours
		}
		return code, nil
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
		return 1, nil
	case <-again:
	case <-time.After(grace):
	}
	_ = cmd.Process.Kill()
	<-ended
	fmt.Fprintln(os.Stderr, "Your program went on after its context had ended, so it was killed.")
	return 1, nil
}
