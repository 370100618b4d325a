// Command bench reads what the benchmarks beside it have printed. The benchmarks say what each way of
// reading from Kubernetes costs: go test -bench . -kubeconfig FILE, and benchstat compares two runs.
//
//	make bench        # measure, and write the tables and plots of docs/performance.md
//	make bench-guard  # measure little, and compare ratios with limits.json
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	in := flag.String("in", "../bin/bench.txt", "read what the benchmarks printed from this `file`")
	limits := flag.String("limits", "limits.json", "the ratios and their limits, a `file`")
	page := flag.String("page", "", "fill the tables of this page, a `file`, and draw the plots beside it")
	guard := flag.Bool("guard", false, "compare ratios with their limits; exit code 1 if one is broken")
	flag.Parse()
	if flag.NArg() > 0 || *guard == (*page != "") {
		fmt.Fprintln(os.Stderr, "bench takes either -guard or -page FILE. See -h.")
		os.Exit(2)
	}
	if err := run(*in, *limits, *page); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in, limitsFile, page string) error {
	f, err := readFigures(in)
	if err != nil {
		return fmt.Errorf("%w\nMeasure first: make bench", err)
	}
	limits, err := readLimits(limitsFile)
	if err != nil {
		return err
	}
	if page == "" {
		if !guard(os.Stdout, limits, f) {
			return errors.New("a limit is broken.\nFind out what got slower, or say in limits.json why it may")
		}
		return nil
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	filled, err := fillPage(string(text), tables(f, limits))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	files := map[string][]byte{page: []byte(filled)}
	for name, svg := range plots(f) {
		files[filepath.Join(filepath.Dir(page), "performance", name)] = svg
	}
	figures, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	files[filepath.Join(filepath.Dir(in), "bench.json")] = figures
	for name, content := range files {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
		fmt.Println("written:", name)
	}
	return nil
}
