package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// mask replaces what may differ between two runs of a lesson.
type mask struct {
	expr *regexp.Regexp
	with string
}

// masks hold for every lesson: names, addresses, versions, times, sizes, and the blanks that align
// them. Numbers of requests, connections, objects and events are not masked.
var masks = []mask{
	{regexp.MustCompile(`(?m)^cluster .*$`), "cluster ..."},
	{regexp.MustCompile(`(?m)^ +https://\S+ · .*$`), "..."},
	{regexp.MustCompile(`lesson-\d\d-[a-z0-9]{5}`), "NAMESPACE"},
	{regexp.MustCompile(`resourceVersion \d+`), "resourceVersion RV"},
	{regexp.MustCompile(`\d+(\.\d+)? (s|ms|µs|ns)\b`), "TIME"},
	{regexp.MustCompile(`\d+(\.\d+)? (B|kB|MB)\b`), "SIZE"},
	{regexp.MustCompile(`[█▏▎▍▌▋▊▉]+`), "BAR"},
	{regexp.MustCompile(`BAR +TIME`), "BAR TIME"},
	{regexp.MustCompile(`[ ]{2,}`), " "},
}

func normalize(text string, extra ...mask) string {
	for _, m := range append(append([]mask{}, extra...), masks...) {
		text = m.expr.ReplaceAllString(text, m.with)
	}
	return text
}

// checkTranscript compares a run with the one recorded in lessons/NAME/output.txt.
func checkTranscript(t *testing.T, run lessonRun, extra ...mask) {
	t.Helper()
	path := filepath.Join("..", "lessons", run.Name, "output.txt")
	if *update {
		if err := os.WriteFile(path, []byte(run.Output), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	recorded, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (record it with: go test ./e2e -update)", err)
	}
	want, got := normalize(string(recorded), extra...), normalize(run.Output, extra...)
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("lesson %s does not print what %s says (-recorded +now); if it is right now: "+
			"make record\n%s", run.Name, path, diff)
	}
	for _, line := range strings.Split(run.Output, "\n") {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("a line of %d columns, 80 at most: %s", n, line)
		}
	}
}

func TestNormalizeMasksWhatMayDiffer(t *testing.T) {
	a := "   wire: 1 LIST, 1 new connection (HTTP/2), 2.9 kB\n   resourceVersion 41, after 9.8 ms\n"
	for _, c := range []struct {
		name, b string
		same    bool
	}{
		{"another time and size", strings.NewReplacer("2.9 kB", "812 B", "9.8 ms", "1.2 s").Replace(a), true},
		{"another resourceVersion", strings.Replace(a, "41", "4711", 1), true},
		{"another number of requests", strings.Replace(a, "1 LIST", "2 LIST", 1), false},
		{"another number of connections", strings.Replace(a, "1 new", "0 new", 1), false},
	} {
		if same := normalize(a) == normalize(c.b); same != c.same {
			t.Errorf("%s: same = %v, want %v", c.name, same, c.same)
		}
	}
}
