// Package engine finds a container engine that kind can use, and says plainly
// why there is none.
package engine

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"client-go-lessons/cluster/internal/hint"
)

// answerTimeout is how long an engine may take to say that it is there.
const answerTimeout = 10 * time.Second

// Engine is a container engine that answers.
type Engine struct{ Name string }

// known are the engines that kind supports, in its order, with the words by
// which each tells its own program from another one's of the same name.
var known = []struct{ name, banner string }{
	{"docker", "Docker version"},
	{"nerdctl", "nerdctl version"},
	{"podman", "podman version"},
}

// Detect returns the first engine that answers. The error tells what is wrong
// with each that is installed.
func Detect(ctx context.Context) (*Engine, error) {
	var reasons []string
	next := ""
	for _, k := range known {
		if _, err := exec.LookPath(k.name); err != nil {
			continue
		}
		out, err := run(ctx, k.name, "-v")
		if err == nil && !strings.HasPrefix(out, k.banner) {
			continue
		}
		e := &Engine{Name: k.name}
		reason, todo := e.check(ctx)
		if reason == "" {
			return e, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		reasons = append(reasons, reason)
		if next == "" {
			next = todo
		}
	}
	if len(reasons) == 0 {
		return nil, hint.New("install Docker (https://docs.docker.com/get-docker), or: make up PROVIDER=local",
			"no container engine is installed (docker, nerdctl or podman)")
	}
	return nil, hint.New(next, "%s", strings.Join(reasons, "; "))
}

// Named returns the engine of that name, if it answers.
func Named(ctx context.Context, name string) (*Engine, error) {
	e := &Engine{Name: name}
	if _, err := exec.LookPath(name); err != nil {
		return nil, hint.New("install "+name+" again: the cluster runs in it", "%s is not installed", name)
	}
	if reason, next := e.check(ctx); reason != "" {
		return nil, hint.New(next, "%s", reason)
	}
	return e, nil
}

// check returns why the engine cannot be used and what to do, or "".
func (e *Engine) check(ctx context.Context) (reason, next string) {
	_, err := run(ctx, e.Name, "info")
	if err == nil {
		return "", ""
	}
	text := strings.ToLower(err.Error())
	var c *complaint
	if errors.As(err, &c) {
		text = strings.ToLower(c.text)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return e.Name + " is installed but does not answer", "restart " + e.Name + ", or: make up PROVIDER=local"
	case strings.Contains(text, "permission denied"):
		return e.Name + " is installed but this user may not use it (permission denied)",
			"join its group (sudo usermod -aG docker $USER, then log in again), or: make up PROVIDER=local"
	case strings.Contains(text, "cannot connect"), strings.Contains(text, "daemon running"),
		strings.Contains(text, "connection refused"), strings.Contains(text, "no such file"):
		return e.Name + " is installed but its daemon is not running",
			"start it (Docker Desktop, or sudo systemctl start " + e.Name + "), or: make up PROVIDER=local"
	}
	return e.Name + " is installed but fails: " + err.Error(), "repair " + e.Name + ", or: make up PROVIDER=local"
}

// HasImage tells whether the image is there.
func (e *Engine) HasImage(ctx context.Context, image string) bool {
	_, err := run(ctx, e.Name, "image", "inspect", image)
	return err == nil
}

// ImageSize returns how large an image that is there is, in bytes, or 0.
func (e *Engine) ImageSize(ctx context.Context, image string) int64 {
	out, err := run(ctx, e.Name, "image", "inspect", "-f", "{{.Size}}", image)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	return n
}

// Pull downloads the image.
func (e *Engine) Pull(ctx context.Context, image string) error {
	cmd := exec.CommandContext(ctx, e.Name, "pull", "-q", image)
	if _, err := output(cmd); err != nil {
		name, _, _ := strings.Cut(image, "@") // without the digest that pins it
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return hint.New("check the network, name an image that is there (KIND_NODE_IMAGE=NAME), or: make up PROVIDER=local",
			"%s cannot pull %s: %w", e.Name, name, err)
	}
	return nil
}

// Running tells whether the container runs.
func (e *Engine) Running(ctx context.Context, container string) bool {
	out, err := run(ctx, e.Name, "inspect", "-f", "{{.State.Running}}", container)
	return err == nil && strings.TrimSpace(out) == "true"
}

// Start starts a container that was stopped.
func (e *Engine) Start(ctx context.Context, container string) error {
	_, err := run(ctx, e.Name, "start", container)
	return err
}

func run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	out, err := output(exec.CommandContext(ctx, name, args...))
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "", ctx.Err()
	}
	return out, err
}

// output runs the command; its error is what the command complained of.
func output(cmd *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	// A child that holds the pipes open must not hold us.
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	var exit *exec.ExitError
	if text := strings.TrimSpace(stderr.String()); errors.As(err, &exit) && text != "" {
		return "", &complaint{text}
	}
	return "", err
}

// complaint is what a failed command wrote to its standard error.
type complaint struct{ text string }

// Error is the last line that says something.
func (c *complaint) Error() string {
	last := ""
	for line := range strings.Lines(c.text) {
		if line = strings.TrimSpace(line); line != "" && line != "errors pretty printing info" {
			last = line
		}
	}
	return last
}
