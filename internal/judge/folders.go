package judge

import (
	"fmt"
	"os"
	"path/filepath"

	"client-go-lessons/internal/exercise"
)

// Root is the folder of this workspace, above the working folder.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if info, err := os.Stat(filepath.Join(dir, "exercises")); err == nil && info.IsDir() {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				return dir, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("there is no folder exercises here; run this in the workspace")
		}
		dir = filepath.Dir(dir)
	}
}

// List reads the folders of the exercises below root, in order. plays are by folder.
func List(root string, plays map[string]Play) (all []Exercise, err error) {
	folders, err := filepath.Glob(filepath.Join(root, "exercises", "[0-9][0-9]-*"))
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		about, err := exercise.Read(folder)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(folder)
		if plays[name] == nil {
			return nil, fmt.Errorf("exercise %s has no play yet; run go generate ./exercises", name)
		}
		all = append(all, Exercise{about, name, plays[name]})
	}
	return all, nil
}
