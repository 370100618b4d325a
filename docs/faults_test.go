package docs_test

import (
	"os"
	"strings"
	"testing"

	"client-go-lessons/e2e/faults"
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

// TestFaultTableIsWhole: each row says something of each lesson, and no two cases have one name.
func TestFaultTableIsWhole(t *testing.T) {
	names := map[string]bool{}
	for _, section := range faults.Sections {
		for _, row := range section.Rows {
			for i, cases := range row.Cases {
				if len(cases) == 0 {
					t.Errorf("%s says nothing of %s", row.Name, faults.Lessons[i])
				}
				for _, c := range cases {
					name := section.Name + "/" + row.Name + "/" + faults.Lessons[i] + "/" + c.Name()
					if names[name] {
						t.Errorf("twice: %s", name)
					}
					names[name] = true
					if c.Says == "" && c.Outcome != faults.Survives {
						t.Errorf("%s does not say why", name)
					}
				}
			}
		}
	}
}
