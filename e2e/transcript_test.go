package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"client-go-lessons/internal/transcript"
)

// mask replaces what may differ between two runs of one lesson.
type mask transcript.Mask

func normalize(text string, extra ...mask) string {
	var masks []transcript.Mask
	for _, m := range extra {
		masks = append(masks, transcript.Mask(m))
	}
	return transcript.Normalize(text, masks...)
}

// checkTranscript compares a run with the one recorded in lessons/NAME/output.txt, or records it.
func checkTranscript(t *testing.T, run lessonRun, extra ...mask) {
	t.Helper()
	if *update {
		path := filepath.Join("..", "lessons", run.Name, "output.txt")
		if err := os.WriteFile(path, []byte(run.Output), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compareTranscript(t, run, extra...)
	for _, line := range strings.Split(run.Output, "\n") {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("a line of %d columns, 80 at most: %s", n, line)
		}
	}
}

// compareTranscript compares a run with the recorded one.
func compareTranscript(t *testing.T, run lessonRun, extra ...mask) {
	t.Helper()
	path := filepath.Join("..", "lessons", run.Name, "output.txt")
	recorded, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (record it with: go test ./e2e -update)", err)
	}
	want, got := normalize(string(recorded), extra...), normalize(run.Output, extra...)
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("lesson %s does not print what %s says (-recorded +now); if it is right now: "+
			"make record\n%s", run.Name, path, diff)
	}
}
