package docs_test

import (
	"os"
	"strings"
	"testing"

	"client-go-lessons/internal/faults"
)

// TestFaultTable: docs/reliability.md shows the table of faults that the tests in e2e run.
func TestFaultTable(t *testing.T) {
	const page, begin, end = "docs/reliability.md", "<!-- faults:begin -->\n", "<!-- faults:end -->\n"
	text := readPage(t, page)
	before, rest, ok := strings.Cut(text, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the lines %q and %q", page, begin, end)
	}
	want := before + begin + "\n" + faults.Markdown() + "\n" + end + after
	switch {
	case text == want:
	case *update:
		if err := os.WriteFile("../"+page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s: %s\nmake docs rewrites it", page, firstDifference(text, want))
	}
}

// TestFaultTableIsWhole: no two cases have one name, and each that fails says what the learner sees.
func TestFaultTableIsWhole(t *testing.T) {
	names := map[string]bool{}
	for _, section := range faults.Sections {
		for _, c := range section.Cases() {
			name := section.Name + ": " + c.Name()
			if names[name] {
				t.Errorf("twice: %s", name)
			}
			names[name] = true
			if c.Cell.Says == "" && c.Cell.Outcome != faults.Survives {
				t.Errorf("%s does not say what is seen", name)
			}
		}
	}
}
