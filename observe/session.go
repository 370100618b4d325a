package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/observer"
	"client-go-lessons/internal/term"
)

// session is one run of observe: the proxy, its kubeconfig, and what is told of the requests.
type session struct {
	target   *cluster.Cluster
	observer *observer.Observer
	dir      string // holds the kubeconfig
	out      *term.Printer
	summary  *summary
	sinks    []sink
	told     sync.WaitGroup // until all that was seen has been told
	timers   []*time.Timer  // of faults that begin later
}

// sink is told of what happens, in order, by one goroutine.
type sink interface {
	tell(observer.Change)
	// close is called after the last change.
	close(end) error
}

// end is what a session came to.
type end struct {
	time     time.Time
	exitCode int // of the command, -1 if there is none
	report   *report
}

func newSession(o options, target *cluster.Cluster) (s *session, err error) {
	s = &session{target: target, out: term.NewPrinter(os.Stderr), summary: newSummary(time.Now())}
	defer func() {
		if err != nil {
			s.remove()
		}
	}()
	s.sinks = append(s.sinks, s.summary, &outage{out: s.out, address: target.Address()})
	if o.live {
		s.sinks = append(s.sinks, newLive(s.out, time.Now()))
	}
	if o.json != "" {
		lines, err := newLines(o.json, target)
		if err != nil {
			return s, err
		}
		s.sinks = append(s.sinks, lines)
	}
	if o.har != "" {
		h, err := newHAR(o.har)
		if err != nil {
			return s, err
		}
		s.sinks = append(s.sinks, h)
	}
	if s.observer, err = observer.Start(target.Config, observer.WithDetails(), observer.WithoutRecord()); err != nil {
		return s, err
	}
	if s.dir, err = os.MkdirTemp("", "observe-"); err != nil {
		return s, err
	}
	if err := s.writeKubeconfig(); err != nil {
		return s, err
	}
	for _, f := range o.faults {
		inject := func() { s.observer.Inject(f.match, f.fault) }
		if f.at > 0 {
			s.timers = append(s.timers, time.AfterFunc(f.at, inject))
		} else {
			inject()
		}
	}
	changes := s.observer.Follow(context.Background())
	s.told.Go(func() {
		for change := range changes {
			for _, sink := range s.sinks {
				sink.tell(change)
			}
		}
	})
	return s, nil
}

func (s *session) kubeconfig() string { return filepath.Join(s.dir, "kubeconfig") }

// writeKubeconfig writes one with the user's name for the context, and the namespace that it has.
func (s *session) writeKubeconfig() error {
	if err := s.observer.Kubeconfig(s.kubeconfig(), s.target.Context); err != nil {
		return err
	}
	if s.target.Namespace == "" {
		return nil
	}
	config, err := clientcmd.LoadFromFile(s.kubeconfig())
	if err != nil {
		return err
	}
	config.Contexts[config.CurrentContext].Namespace = s.target.Namespace
	return clientcmd.WriteToFile(*config, s.kubeconfig()) // keeps the file's permissions
}

// finish ends the proxy, tells the rest and prints the report. It returns the exit code.
func (s *session) finish(exitCode int) int {
	for _, timer := range s.timers {
		timer.Stop()
	}
	e := end{time: time.Now(), exitCode: exitCode}
	err := s.observer.Close()
	s.told.Wait()
	e.report = s.summary.report(e.time, exitCode >= 0)
	for _, sink := range s.sinks {
		err = errors.Join(err, sink.close(e))
	}
	e.report.print(s.out)
	s.remove()
	if err != nil {
		fmt.Fprintf(os.Stderr, "observe: %v.\nWhat it was to write may be incomplete.\n", err)
		return max(exitCode, exitFailed)
	}
	return exitCode
}

// remove takes away what the session left on the disk.
func (s *session) remove() {
	if s.dir == "" {
		return
	}
	if err := os.RemoveAll(s.dir); err != nil {
		fmt.Fprintf(os.Stderr, "observe: %v.\nRemove %s yourself: it holds a kubeconfig, which leads nowhere by now.\n", err, s.dir)
	}
}

// serve prints a kubeconfig to use, until Ctrl-C.
func (s *session) serve() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	reports := make(chan os.Signal, 1)
	signal.Notify(reports, syscall.SIGUSR1)
	fmt.Printf("export KUBECONFIG=%s\n", s.kubeconfig())
	s.out.Lines("", fmt.Sprintf("observe: %s is behind it (context %s). Ctrl-C ends it and removes the file.",
		s.target.Address(), s.target.Context))
	for {
		select {
		case <-reports:
			s.summary.report(time.Now(), false).print(s.out)
		case <-signals:
			signal.Stop(signals) // a second one ends the process at once
			s.finish(-1)
			return 0
		}
	}
}
