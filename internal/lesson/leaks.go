package lesson

import (
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// leaksEnv names a file to which a lesson writes, at its very end, the stacks of those goroutines
// that it should have ended. The e2e tests set it, and want the file empty.
const leaksEnv = "LESSON_LEAKS_FILE"

// patience is how long goroutines that are ending may take.
const patience = 5 * time.Second

// ours is found in the stack of a goroutine that runs, or was started by, code of Kubernetes, of
// this workspace or of the lesson itself, which is package main.
var ours = regexp.MustCompile(`(?m)k8s\.io/|client-go-lessons/|^main\.|^created by main\.`)

func reportLeaks() {
	path := os.Getenv(leaksEnv)
	if path == "" {
		return
	}
	left := leaks()
	for end := time.After(patience); left != ""; left = leaks() {
		select {
		case <-end:
			_ = os.WriteFile(path, []byte(left), 0o600)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	_ = os.WriteFile(path, nil, 0o600)
}

// leaks returns the stacks of the goroutines, other than this one, that run or were started by
// code of Kubernetes or of this workspace. What the process itself keeps, such as the connections
// of client-go's shared transport, is not meant.
func leaks() string {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for i, stack := range strings.Split(string(stacks), "\n\n") {
		if i > 0 && ours.MatchString(stack) && !forever(stack) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

// forever tells whether client-go starts this goroutine once in a process and never ends it.
func forever(stack string) bool {
	return strings.Contains(stack, "klog") || strings.Contains(stack, "net/http") &&
		strings.Contains(stack, "(*persistConn)")
}
