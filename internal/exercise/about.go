package exercise

import (
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// aboutFile is in the folder of each exercise.
const aboutFile = "exercise.yaml"

// About is what exercise.yaml says of an exercise.
type About struct {
	Title      string `json:"title"`      // what happens to the user, not the bug
	Lesson     string `json:"lesson"`     // the page to read before, such as 01-direct
	Difficulty int    `json:"difficulty"` // 1 to 3
	Minutes    int    `json:"minutes"`    // that most people need
	// Stage is what is in the namespace before the program starts.
	Stage []*corev1.ConfigMap `json:"stage"`
}

// Read reads exercise.yaml in an exercise's folder.
func Read(folder string) (a About, err error) {
	path := filepath.Join(folder, aboutFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return a, fmt.Errorf("read what the exercise is about: %w", err)
	}
	if err := yaml.UnmarshalStrict(text, &a); err != nil {
		return a, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}
