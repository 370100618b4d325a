package docs_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestHelpQuotesWhatIsPrinted: each text that the README's "When it does not work" quotes stands in
// the source of the program that prints it: ours, the go command's, client-go's.
func TestHelpQuotesWhatIsPrinted(t *testing.T) {
	raw, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(raw), "\n## When it does not work\n")
	if !ok {
		t.Fatal("the README has no such section")
	}
	printed := sources(t)
	quoted, commands := 0, regexp.MustCompile("^(make|kill|unset|export) ")
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \| .+ \|$`).FindAllStringSubmatch(section, -1) {
		for _, q := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			if commands.MatchString(q[1]) {
				continue
			}
			quoted++
			if !strings.Contains(printed, q[1]) {
				t.Errorf("nothing prints %q", q[1])
			}
		}
	}
	if quoted < 10 {
		t.Errorf("the section quotes %d texts, want 10 at least", quoted)
	}
}

// sources is the text of all programs that a reader of the README meets, without their tests.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	all.WriteString(syscall.ECONNREFUSED.Error() + "\n" + syscall.EACCES.Error() + "\n")
	read := func(dir string) {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"../internal", "../cluster/internal", "../scripts"} {
		read(dir)
	}
	main, err := os.ReadFile("../cluster/up.go")
	if err != nil {
		t.Fatal(err)
	}
	all.Write(main)
	goroot := list(t, "env", "GOROOT")
	for _, dir := range []string{"cmd/go/internal/modload", "cmd/go/internal/gover", "cmd/go/internal/cache", "cmd/go/internal/modfetch", "cmd/vendor/golang.org/x/mod/modfile", "os"} {
		read(filepath.Join(goroot, "src", filepath.FromSlash(dir)))
	}
	read(filepath.Join(list(t, "list", "-m", "-f", "{{.Dir}}", "k8s.io/apimachinery"), "pkg", "util", "net"))
	return all.String()
}

// list returns what a go command prints.
func list(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	if err != nil {
		t.Fatalf("go %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}
