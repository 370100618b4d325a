package docs_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestFailingLessonFailsMake: make 3.81, which macOS has, ignores .SHELLFLAGS, so that a loop in a
// recipe would end with its last lesson's exit code.
func TestFailingLessonFailsMake(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "make", "-C", "..", "-o", "running", ".SHELLFLAGS=-c",
		"LESSONS=none-such 01-direct", "ARGS=-h", "lessons")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "There is no lesson none-such") || strings.Contains(string(out), "Lesson 01") {
		t.Errorf("the first of two lessons failed, and make ended with %v:\n%s", err, out)
	}
}
