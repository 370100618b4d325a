package docs_test

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the code and output in the pages from their sources")

// pages are the Markdown files that are checked, seen from the top of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.md")
	if err != nil || len(found) == 0 {
		t.Fatalf("*.md: %v, %v", found, err)
	}
	for i := range found {
		found[i] = "docs/" + found[i]
	}
	return append(found, "README.md", "exercises/README.md")
}

// TestBlocks: what a page quotes is what its source says. A line before the fence names the source:
//
//	<!-- code: lessons/01-direct/main.go func direct.list -->
//	<!-- code: lessons/01-direct/main.go func direct.list without comment -->
//	<!-- code: lessons/03-informer/main.go func readFromCache with imports -->
//	<!-- code: lessons/01-direct/main.go func direct.list from "list, err :=" to "took :=" -->
//	<!-- program: lessons/01-direct/main.go func readDirectly -->
//	<!-- output: lessons/01-direct/output.txt technique -->
//	<!-- output: lessons/01-direct/output.txt step again -->
//	<!-- output: lessons/01-direct/output.txt end -->
//	<!-- edit: lessons/01-direct/main.go -->
//
// The first is a whole function or method. With from it is one statement of it, the first whose
// first line has that text; with to, all up to the end of the next one whose first line has that.
// A program is the function with its imports and a main: see program_test.go. A step of an output is
// named as in the lesson's main.go, or by its number.
// An edit is a diff for the reader to make: what it takes away and leaves must be in the source.
// go test ./docs -update rewrites code and output, not edits.
func TestBlocks(t *testing.T) {
	for _, page := range pages(t) {
		text := readPage(t, page)
		rewritten, err := quote("..", text)
		if err != nil {
			t.Errorf("%s: %v", page, err)
		}
		if rewritten == text {
			continue
		}
		if *update {
			if err := os.WriteFile(filepath.Join("..", page), []byte(rewritten), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("%s: %s\nmake docs rewrites it", page, firstDifference(text, rewritten))
	}
}

func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", page))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// firstDifference says where a page differs from what it should be.
func firstDifference(text, want string) string {
	have, should := strings.Split(text, "\n"), strings.Split(want, "\n")
	i := 0
	for i < len(have) && i < len(should) && have[i] == should[i] {
		i++
	}
	line := func(lines []string) string {
		if i < len(lines) {
			return strconv.Quote(lines[i])
		}
		return "nothing"
	}
	return fmt.Sprintf("line %d is %s, its source has %s", i+1, line(have), line(should))
}

var (
	markerExpr = regexp.MustCompile(`^<!-- (code|program|output|edit): (\S+)(?: (.*))? -->$`)
	looksExpr  = regexp.MustCompile(`^\s*<!--\s*(code|program|output|edit)\b`)
	codeExpr   = regexp.MustCompile(`^func (\S+)( without comment| with imports)?(?: from "([^"]+)")?(?: to "([^"]+)")?$`)
	outputExpr = regexp.MustCompile(`^(?:step (\S+)|technique|end)$`)
	fenceExpr  = regexp.MustCompile("^\\s*(`{3,}|~{3,})\\s*([\\w-]*)")
	languages  = map[string]string{"code": "go", "program": "go", "output": "text", "edit": "diff"} // by kind of source
)

// quote returns the page with each marked block as its source has it, and what is wrong with the
// markers. Blocks that it cannot make it leaves as they are.
func quote(root, page string) (string, error) {
	var out []string
	var errs []error
	lines := strings.Split(page, "\n")
	marker := -1 // the line of the last marker, while its block is still to come
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		out = append(out, line)
		fence := fenceExpr.FindStringSubmatch(line)
		if fence == nil {
			if marker >= 0 {
				errs = append(errs, fmt.Errorf("line %d: a marker without a block right after it", marker+1))
			}
			marker = -1
			if markerExpr.MatchString(line) {
				marker = i
			} else if looksExpr.MatchString(line) {
				errs = append(errs, fmt.Errorf("line %d: not understood: %s", i+1, line))
			}
			continue
		}
		end := i + 1
		for end < len(lines) && strings.TrimSpace(lines[end]) != fence[1] {
			end++
		}
		if end == len(lines) {
			errs = append(errs, fmt.Errorf("line %d: a block that does not end", i+1))
			return page, errors.Join(errs...)
		}
		block, language := lines[i+1:end], fence[2]
		var err error
		if marker >= 0 {
			m := markerExpr.FindStringSubmatch(lines[marker])
			if want := languages[m[1]]; language != want {
				err = fmt.Errorf("a block of %s is fenced as %q, want %q", m[1], language, want)
			} else {
				block, err = source(root, m[1], m[2], m[3], block)
			}
		} else if language == "go" || language == "text" || language == "diff" {
			err = fmt.Errorf("a %s block without a marker that names its source", language)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", i+1, err))
		}
		out = append(append(out, block...), lines[end])
		i, marker = end, -1
	}
	if marker >= 0 {
		errs = append(errs, fmt.Errorf("line %d: a marker without a block right after it", marker+1))
	}
	return strings.Join(out, "\n"), errors.Join(errs...)
}

// source returns what a block must hold, and the block itself if that cannot be told.
func source(root, kind, path, what string, block []string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return block, err
	}
	var lines []string
	switch kind {
	case "code":
		lines, err = code(path, string(text), what)
	case "program":
		lines, err = program(path, string(text), what)
	case "output":
		lines, err = output(string(text), numbered(root, path, what))
	case "edit":
		return block, edit(string(text), block)
	}
	if err != nil {
		return block, fmt.Errorf("%s: %w", path, err)
	}
	return lines, nil
}

// code is a function of a Go file, or a part of it.
func code(path, text, what string) ([]string, error) {
	m := codeExpr.FindStringSubmatch(what)
	if m == nil {
		return nil, fmt.Errorf(`%q is not: func NAME [without comment|with imports] [from "TEXT"] [to "TEXT"]`, what)
	}
	name, bare, from, to := m[1], m[2] == " without comment", m[3], m[4]
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || funcName(f) != name {
			continue
		}
		begin, end, err := part(files, text, f, from, to)
		if err != nil {
			return nil, fmt.Errorf("func %s: %w", name, err)
		}
		if from == "" && f.Doc != nil && !bare {
			begin = f.Doc.Pos()
		}
		lines := strings.Split(text, "\n") // whole ones, for the tabs before and the comment after
		part := dedent(lines[files.Position(begin).Line-1 : files.Position(end-1).Line])
		if m[2] == " with imports" {
			part = append(importsOf(file, f), part...)
		}
		return part, nil
	}
	return nil, fmt.Errorf("there is no func %s", name)
}

// importsOf are the imports of a file that one of its functions uses.
func importsOf(file *ast.File, f *ast.FuncDecl) (lines []string) {
	used := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := s.X.(*ast.Ident); ok {
				used[id.Name] = true
			}
		}
		return true
	})
	own := false // whether the last one was of the standard library
	for _, spec := range file.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		name, line := filepath.Base(path), spec.Path.Value
		if spec.Name != nil {
			name, line = spec.Name.Name, spec.Name.Name+" "+line
		}
		if !used[name] {
			continue
		}
		if own && strings.Contains(path, ".") {
			lines = append(lines, "")
		}
		own = !strings.Contains(path, ".")
		lines = append(lines, "\t"+line)
	}
	return append(append([]string{"import ("}, lines...), ")", "")
}

// funcName is main for a function, direct.list for a method of direct or *direct.
func funcName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if id, ok := receiver.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return ""
}

// part is where a function, or the part of it from one statement to another, begins and ends. A
// statement is named by a text that is in its first line.
func part(files *token.FileSet, text string, f *ast.FuncDecl, from, to string) (begin, end token.Pos, err error) {
	all := strings.Split(text, "\n")
	find := func(name string, after token.Pos) (found ast.Stmt) {
		ast.Inspect(f.Body, func(n ast.Node) bool {
			stmt, ok := n.(ast.Stmt)
			_, block := n.(*ast.BlockStmt)
			if ok && !block && found == nil && stmt.Pos() > after &&
				strings.Contains(all[files.Position(stmt.Pos()).Line-1], name) {
				found = stmt
			}
			return found == nil
		})
		return found
	}
	begin, end = f.Pos(), f.End()
	if from != "" {
		stmt := find(from, f.Pos())
		if stmt == nil {
			return 0, 0, fmt.Errorf("no statement begins with a line that has %q", from)
		}
		begin, end = stmt.Pos(), stmt.End()
	}
	if to != "" {
		stmt := find(to, begin)
		if stmt == nil {
			return 0, 0, fmt.Errorf("no statement after %q begins with a line that has %q", from, to)
		}
		end = stmt.End()
	}
	return begin, end, nil
}

// dedent takes away the tabs that all lines begin with.
func dedent(lines []string) []string {
	least := -1
	for _, line := range lines {
		if tabs := len(line) - len(strings.TrimLeft(line, "\t")); line != "" && (least < 0 || tabs < least) {
			least = tabs
		}
	}
	cut := make([]string, len(lines))
	for i, line := range lines {
		cut[i] = line[min(max(least, 0), len(line)):]
	}
	return cut
}

// numbered is what, with the name of a step replaced by its number. The number is the place of the
// name in the main.go beside the output.
func numbered(root, path, what string) string {
	name, ok := strings.CutPrefix(what, "step ")
	text, err := os.ReadFile(filepath.Join(root, filepath.Dir(path), "main.go"))
	if !ok || err != nil {
		return what
	}
	for i, m := range stepExpr.FindAllStringSubmatch(string(text), -1) {
		if m[1] == name {
			return fmt.Sprintf("step %d", i+1)
		}
	}
	return what
}

var stepExpr = regexp.MustCompile(`(?m)^\s*\{Name: "([^"]+)"`)

// output is a step of a recorded run, with its heading, or what the lesson says at its end.
func output(text, what string) ([]string, error) {
	m := outputExpr.FindStringSubmatch(what)
	if m == nil {
		return nil, fmt.Errorf("%q is neither technique, step NAME nor end", what)
	}
	begins := "What you can now say"
	switch {
	case what == "technique":
		begins = "The technique in one piece"
	case m[1] != "":
		begins = m[1] + " "
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if len(lines) == 0 && !strings.HasPrefix(line, begins) {
			continue
		}
		if line == "" {
			break
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("there is no %s", what)
	}
	return lines, nil
}

// edit checks a diff: the lines that it takes away, and those that it leaves, must follow each
// other in the source, and it must change something. Indentation is not compared.
func edit(text string, diff []string) error {
	var old []string
	changes := false
	for _, line := range diff {
		sign, rest := " ", ""
		if line != "" {
			sign, rest = line[:1], strings.TrimSpace(line[1:])
		}
		switch sign {
		case "+":
			changes = true
		case "-":
			changes = true
			old = append(old, rest)
		case " ":
			old = append(old, rest)
		default:
			return fmt.Errorf("a line of a diff begins with a sign or a space: %q", line)
		}
	}
	if !changes || len(old) == 0 {
		return errors.New("a diff must change something, and say where")
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, strings.TrimSpace(line))
	}
	for i := 0; i+len(old) <= len(lines); i++ {
		if slices.Equal(lines[i:i+len(old)], old) {
			return nil
		}
	}
	return fmt.Errorf("the source does not have what this diff changes: %q", old)
}

var (
	linkExpr    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingExpr = regexp.MustCompile(`^#{1,6} +(.+?) *#*$`)
	inlineExpr  = regexp.MustCompile("`[^`]*`")
)

// TestLinks: every link from a page to a place inside the repository leads there.
func TestLinks(t *testing.T) {
	for _, page := range pages(t) {
		for _, err := range links("..", page, readPage(t, page)) {
			t.Errorf("%s: %v", page, err)
		}
	}
}

// links returns what is wrong with the links of a page.
func links(root, page, text string) (errs []error) {
	for _, line := range prose(text) {
		for _, m := range linkExpr.FindAllStringSubmatch(inlineExpr.ReplaceAllString(line, "x"), -1) {
			target := m[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path, anchor, anchored := strings.Cut(target, "#")
			at := page
			if path != "" {
				at = filepath.Join(filepath.Dir(page), path)
			}
			if strings.HasPrefix(at, "..") || filepath.IsAbs(path) {
				errs = append(errs, fmt.Errorf("%s leads out of the repository", target))
				continue
			}
			if _, err := os.Stat(filepath.Join(root, at)); err != nil {
				errs = append(errs, fmt.Errorf("%s leads nowhere: %w", target, err))
				continue
			}
			if !anchored {
				continue
			}
			there, err := os.ReadFile(filepath.Join(root, at))
			if err != nil || filepath.Ext(at) != ".md" || !slices.Contains(anchors(string(there)), anchor) {
				errs = append(errs, fmt.Errorf("%s leads nowhere: no such heading", target))
			}
		}
	}
	return errs
}

// prose is the lines of a page that are outside its fenced blocks.
func prose(text string) (lines []string) {
	closing := ""
	for line := range strings.SplitSeq(text, "\n") {
		fence := fenceExpr.FindStringSubmatch(line)
		switch {
		case closing != "":
			if strings.TrimSpace(line) == closing {
				closing = ""
			}
		case fence != nil:
			closing = fence[1]
		default:
			lines = append(lines, line)
		}
	}
	return lines
}

// anchors are the names that GitHub gives to the headings of a page.
func anchors(text string) (names []string) {
	times := map[string]int{}
	for _, line := range prose(text) {
		m := headingExpr.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 127 && !strings.ContainsRune("“”‘’…·×→", r):
				return r
			}
			return -1
		}, strings.ToLower(regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1")))
		n := times[name]
		if times[name]++; n > 0 {
			name += "-" + strconv.Itoa(n)
		}
		names = append(names, name)
	}
	return names
}

// TestQuote: a page as it should be stays as it is; one that has drifted is mended; a marker that
// leads nowhere, and a block that has none, is told of.
func TestQuote(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"a.go":  "package a\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\n\tcore \"k8s.io/v1\"\n)\n\n// read reads.\nfunc (l *lesson) read() {\n\tif true {\n\t\tlist()\n\t}\n\tget() // it\n}\n\nfunc list() {}\n\nfunc say() { fmt.Print(core.X) }\n",
		"o.txt": "Lesson 01\n\nThe technique in one piece: say\n   x\n\n1  One   N1\n   a\n   b\n\n10 Ten\n   c\n\nWhat you can now say\n   d\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	block := func(marker, language, text string) string {
		return "before\n\n" + marker + "\n```" + language + "\n" + text + "\n```\n\nafter\n"
	}
	for _, c := range []struct{ name, marker, language, text, want, err string }{
		{"a method", "<!-- code: a.go func lesson.read -->", "go", "drifted",
			"// read reads.\nfunc (l *lesson) read() {\n\tif true {\n\t\tlist()\n\t}\n\tget() // it\n}", ""},
		{"a function", "<!-- code: a.go func list -->", "go", "func list() {}", "func list() {}", ""},
		{"without comment, up to a line", `<!-- code: a.go func lesson.read without comment to "if true" -->`,
			"go", "", "func (l *lesson) read() {\n\tif true {\n\t\tlist()\n\t}", ""},
		{"a statement", `<!-- code: a.go func lesson.read from "if true" -->`, "go", "",
			"if true {\n\tlist()\n}", ""},
		{"two statements", `<!-- code: a.go func lesson.read from "list" to "get" -->`, "go", "",
			"\tlist()\n}\nget() // it", ""},
		{"a function with what it imports", "<!-- code: a.go func say with imports -->", "go", "",
			"import (\n\t\"fmt\"\n\n\tcore \"k8s.io/v1\"\n)\n\nfunc say() { fmt.Print(core.X) }", ""},
		{"the technique", "<!-- output: o.txt technique -->", "text", "",
			"The technique in one piece: say\n   x", ""},
		{"a step", "<!-- output: o.txt step 1 -->", "text", "", "1  One   N1\n   a\n   b", ""},
		{"a step of two digits", "<!-- output: o.txt step 10 -->", "text", "", "10 Ten\n   c", ""},
		{"the end", "<!-- output: o.txt end -->", "text", "", "What you can now say\n   d", ""},
		{"an edit", "<!-- edit: a.go -->", "diff", " \tif true {\n-\t\tlist()\n+\t\tlist(1)", "", ""},
		{"a shell block", "", "sh", "ls", "", ""},

		{"an edit of what is not there", "<!-- edit: a.go -->", "diff", "-list(2)", "", "does not have"},
		{"no such function", "<!-- code: a.go func read -->", "go", "x", "", "there is no func read"},
		{"no such line", `<!-- code: a.go func list from "zzz" -->`, "go", "x", "", "no statement begins"},
		{"no such step", "<!-- output: o.txt step 2 -->", "text", "x", "", "there is no step 2"},
		{"no such file", "<!-- code: b.go func list -->", "go", "x", "", "b.go"},
		{"not understood", "<!-- code:a.go func list -->", "sh", "x", "", "not understood"},
		{"the wrong language", "<!-- code: a.go func list -->", "text", "x", "", "fenced as"},
		{"go without a marker", "", "go", "x", "", "without a marker"},
		{"text without a marker", "", "text", "x", "", "without a marker"},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := block(c.marker, c.language, c.text)
			want := page
			if c.want != "" {
				want = block(c.marker, c.language, c.want)
			}
			got, err := quote(root, page)
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got error %v, want %q", err, c.err)
			}
		})
	}
	for what, page := range map[string]string{
		"a marker without a block": "<!-- code: a.go func list -->\n\nno block\n",
		"an indented block":        "- a list\n\n  ```go\n  x\n  ```\n",
		"a block with attributes":  "```go title=a\nx\n```\n",
		"a block of tildes":        "~~~text\nx\n~~~\n",
		"a block without an end":   "```sh\nx\n",
	} {
		if _, err := quote(root, page); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	page := "# One: `two`, 3\n\n## Again\n\n```sh\n# no heading [x](no)\n```\n\n## Again\n"
	if err := os.WriteFile(filepath.Join(root, "docs", "a.md"), []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	for link, ok := range map[string]bool{
		"a.md": true, "a.md#again": true, "a.md#again-1": true, "a.md#one-two-3": true, "#again": true,
		"../docs": true, "https://example.com/x#y": true,
		"a.md#again-2": false, "b.md": false, "#no-heading-xno": false, "../../etc": false, "../docs#again": false,
	} {
		errs := links(root, "docs/a.md", page+"\n[a link]("+link+")\n")
		if (len(errs) == 0) != ok {
			t.Errorf("%s: %v", link, errs)
		}
	}
}
