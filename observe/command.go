package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
	"unsafe"
)

// runCommand runs the command to its end and returns its exit code. A command that a signal ended
// has the code that a shell gives it.
func (s *session) runCommand(args []string) int {
	// Registered first: from here on no signal ends observe before the command.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig())
	// On a terminal the command shares our process group: it may read from the terminal, and Ctrl-C
	// reaches it from there. Elsewhere it has a group of its own, so that a signal to ours reaches it
	// once, by us.
	shared := inForeground()
	if !shared {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	if err := cmd.Start(); err != nil {
		_ = s.observer.Close()
		s.told.Wait()
		s.remove()
		return complainOfCommand(args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			switch {
			case sig == syscall.SIGUSR1:
				s.summary.report(time.Now(), false).print(s.out)
			case shared && (sig == syscall.SIGINT || sig == syscall.SIGQUIT):
				// The terminal has sent it to the command as well.
			default:
				_ = cmd.Process.Signal(sig) // it may have ended
			}
		case err := <-ended:
			return s.finish(exitCode(err))
		}
	}
}

func exitCode(err error) int {
	var failed *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &failed):
		fmt.Fprintf(os.Stderr, "observe: waiting for the command: %v.\n", err)
		return exitFailed
	}
	if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return failed.ExitCode()
}

// inForeground tells whether this process group is the one that the terminal sends Ctrl-C to.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer func() { _ = tty.Close() }()
	var group int32
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, tty.Fd(), syscall.TIOCGPGRP, uintptr(unsafe.Pointer(&group)))
	return errno == 0 && int(group) == syscall.Getpgrp()
}
