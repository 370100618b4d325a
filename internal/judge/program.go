package judge

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"client-go-lessons/internal/exercise"
)

const (
	keep  = 500 // lines of a program's output that are kept; the others are counted
	shown = 8   // lines of the compiler that a learner sees
)

// program is the learner's program as it runs.
type program struct {
	cmd    *exec.Cmd
	stdin  io.Closer     // held open: the program ends when the judge is gone
	exited chan struct{} // closed when it has ended and all it printed was read

	mu    sync.Mutex
	out   []string // of the standard output
	err   []string // of the standard error
	both  []string // lines of either
	count int      // lines of both
	crash bool     // what follows on the standard error are stacks
}

// start runs the program at path, with the cluster of kubeconfig and the namespace.
func start(path, dir, kubeconfig, namespace string, env []string) (*program, error) {
	p := &program{cmd: exec.Command(path), exited: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(append(os.Environ(), env...),
		"KUBECONFIG="+kubeconfig, exercise.NamespaceEnv+"="+namespace)
	// In a group of its own, or a Ctrl-C would end it before the judge knows why.
	p.cmd.SysProcAttr = ownGroup()
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the program: %w", err)
	}
	var read sync.WaitGroup
	read.Go(func() { p.read(stdout, &p.out) })
	read.Go(func() { p.read(stderr, &p.err) })
	go func() {
		read.Wait()
		_ = p.cmd.Wait() // how it ended is in the ProcessState
		close(p.exited)
	}()
	return p, nil
}

// detectorOn is what client-go says for each informer when the judge has turned its mutation
// detector on, and what that says before it panics.
var detectorOn = regexp.MustCompile(`^W\d{4} .*Mutation detector is enabled`)

func (p *program) read(r io.Reader, lines *[]string) {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		raw, err := in.ReadString('\n')
		if line := strings.TrimRight(raw, "\r\n"); line != "" && !detectorOn.MatchString(line) {
			p.note(line, lines)
		}
		if err != nil {
			return
		}
	}
}

func (p *program) note(line string, lines *[]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(*lines) < keep {
		*lines = append(*lines, line)
	}
	if lines == &p.err {
		p.crash = p.crash || panicLine.MatchString(line) || strings.Contains(line, `"Observed a panic"`)
		if p.crash {
			return
		}
	}
	p.count++
	if len(p.both) < keep {
		p.both = append(p.both, line)
	}
}

// kill ends the program, if it has not ended.
func (p *program) kill() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.stdin.Close()
	<-p.exited
}

func (p *program) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// lines returns the lines of the standard output so far that begin with prefix, without it.
func (p *program) lines(prefix string) (found []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.out {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			found = append(found, strings.TrimSpace(rest))
		}
	}
	return found
}

// total is how many lines the program has printed.
func (p *program) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (p *program) printed() (lines []string, more int) {
	if p == nil {
		return nil, 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.both...), p.count - len(p.both)
}

var (
	panicLine  = regexp.MustCompile(`^(?:panic|fatal error): (.*?)(?: \[recovered.*)?$`)
	sourceLine = regexp.MustCompile(`^\t\S*/(?:exercises|testdata)/(\S+\.go:\d+)`) // in a stack
)

// end says how a program ended that should not have.
func (p *program) end() (how string, panicked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, line := range p.err {
		m := panicLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		how = "your program panicked: " + m[1]
		if len(how) > 200 {
			how = how[:200] + "..."
		}
		for _, line := range p.err[i:] {
			if at := sourceLine.FindStringSubmatch(line); at != nil {
				return how + ", at " + filepath.Base(at[1]), true
			}
		}
		return how, true
	}
	code := p.cmd.ProcessState.ExitCode()
	switch {
	case code < 0:
		return "your program was ended by a signal: " + p.cmd.ProcessState.String(), false
	case code == 0 && len(p.out) == 0:
		return "your program ended, and printed nothing", false
	case code == 0:
		return "your program ended, as if its work were done", false
	case len(p.err) > 0:
		last := p.err[len(p.err)-1]
		for _, line := range p.err {
			if why, ok := strings.CutPrefix(line, "Error: "); ok {
				last = why // the line below it says what to do
			}
		}
		return fmt.Sprintf("your program ended with exit code %d: %s", code, last), false
	}
	return fmt.Sprintf("your program ended with exit code %d and no word", code), false
}
