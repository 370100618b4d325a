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
	page := flag.String("page", "", "fill the tables of this page, a `file`, and draw the plots beside it; "+
		"without it, compare ratios with limits.json")
	flag.Parse()
	if err := run(*in, *page); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in, page string) error {
	printed, err := os.ReadFile(in)
	if err != nil {
		return fmt.Errorf("%w.\nMeasure first: make bench", err)
	}
	f, err := parseFigures(string(printed))
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	limits, err := readLimits("limits.json")
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
