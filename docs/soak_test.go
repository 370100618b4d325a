package docs_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var soakFigures = flag.Bool("soak", false, "put the figures of the last soak into the pages")

// soakPart is where a page shows the last soak.
var soakPart = regexp.MustCompile(`(?s)(<!-- soak: bin/soak-summary\.md -->\n)(.*?)(<!-- /soak -->)`)

// TestSoakFigures: what a page shows of a soak is whole and good. make soak-docs puts the figures of
// the last make soak there.
func TestSoakFigures(t *testing.T) {
	for _, page := range pages(t) {
		text := readPage(t, page)
		m := soakPart.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		shown := m[2]
		if *soakFigures {
			measured, err := os.ReadFile("../bin/soak-summary.md")
			if err != nil {
				t.Fatalf("%v; first: make soak", err)
			}
			shown = strings.TrimSpace(string(measured)) + "\n"
			text = soakPart.ReplaceAllLiteralString(text, m[1]+shown+m[3])
			if err := os.WriteFile(filepath.Join("..", page), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasPrefix(shown, "(not measured yet") {
			continue
		}
		for _, want := range []string{
			`(?m)^\d+ runs in .*, seed \d+:$`,
			`(?m)^\| all \| \d+ \|.*\| 0 \|$`, // none wrong
			`(?m)^\| namespaces, without a word \| 0 \|$`,
			`(?m)^\| lessons that left goroutines \| 0 \|$`,
			`(?m)^\| control plane after \|`,
		} {
			if !regexp.MustCompile(want).MatchString(shown) {
				t.Errorf("%s: the soak that it shows does not say %q:\n%s", page, want, shown)
			}
		}
	}
}
