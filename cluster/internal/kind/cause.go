package kind

import (
	"errors"
	"strings"

	"sigs.k8s.io/kind/pkg/exec"
)

// known are causes that have a remedy, by words in what kind or the engine said.
var known = []struct{ words, next string }{
	{"too many open files", "raise the limit, sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288"},
	{"no space left on device", "make room for the engine"},
	{"requires cgroup v2", "use cgroup v2"},
	{"delegate=yes", "set Delegate=yes (https://kind.sigs.k8s.io/docs/user/rootless)"},
	{"permission denied", "give this user the rights, or run the engine as root"},
	{"kubelet", "see what the kubelet needs (https://kind.sigs.k8s.io/docs/user/known-issues)"},
}

// Cause returns the line that tells most of why a cluster was not created, and
// what to do about it, or "" if that is not known.
func Cause(err error) (line, next string) {
	text := err.Error()
	line = telling(text)
	if run := exec.RunErrorForError(err); run != nil && strings.TrimSpace(string(run.Output)) != "" {
		text += "\n" + string(run.Output)
		line = telling(string(run.Output))
	}
	for _, k := range known {
		if strings.Contains(strings.ToLower(text), k.words) {
			return line, k.next + ", or: make up PROVIDER=local"
		}
	}
	return line, ""
}

const columns = 120 // of a cause, so that it stays a line or two

// telling returns the last line that speaks of an error, else the last of all.
func telling(text string) string {
	var last, failure string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		small := strings.ToLower(line)
		if line == "" || strings.Contains(small, "stack trace") {
			continue
		}
		last = line
		if strings.Contains(small, "error") || strings.Contains(small, "fail") || strings.Contains(small, "cannot") {
			failure = line
		}
	}
	if failure == "" {
		failure = last
	}
	if r := []rune(failure); len(r) > columns {
		failure = string(r[:columns-1]) + "…"
	}
	return failure
}

// describe adds the end of a failed command's output, which kind leaves out of
// its errors.
func describe(err error) error {
	if exec.RunErrorForError(err) == nil {
		return err
	}
	line, _ := Cause(err)
	return errors.New(line)
}
