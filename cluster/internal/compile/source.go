package compile

import (
	"os"
	"path/filepath"
	"strings"

	"client-go-lessons/cluster/internal/hint"
)

const module = "client-go-lessons/cluster"

// Source finds the folder of this module. In this order: the folder given,
// $CLUSTER_SOURCE, the working folder and its parents, the executable's folder
// and its parents; of each, the folder itself or its subfolder cluster.
func Source(given string) (string, error) {
	if given == "" {
		given = os.Getenv("CLUSTER_SOURCE")
	}
	if given != "" {
		if !isModule(given) {
			return "", hint.New("give the folder of this workspace's cluster module", "%s is not the folder of module %s", given, module)
		}
		return filepath.Abs(given)
	}
	var starts []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		starts = append(starts, filepath.Dir(exe))
	}
	for _, dir := range starts {
		for {
			for _, candidate := range []string{dir, filepath.Join(dir, "cluster")} {
				if isModule(candidate) {
					return candidate, nil
				}
			}
			parent := filepath.Dir(dir)
			if parent == dir {
				break
			}
			dir = parent
		}
	}
	return "", hint.New("run it inside the workspace, or say where its cluster folder is: --source PATH",
		"the source of module %s is not to be found", module)
}

func isModule(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "module" {
			return f[1] == module
		}
	}
	return false
}
