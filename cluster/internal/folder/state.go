package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"client-go-lessons/cluster/internal/hint"
)

const stateFile = "state.json"

// The providers.
const (
	Kind  = "kind"
	Local = "local"
)

// State is what is noted about the cluster of a folder. That it is noted does
// not mean that it runs: for that, ask the provider.
type State struct {
	Provider string `json:"provider"`
	Name     string `json:"name"`
	// Ready is set once the cluster has been up. Until then what there is may
	// be the remains of an interrupted start.
	Ready bool `json:"ready"`
	// Engine and Image are kind's.
	Engine string `json:"engine,omitempty"`
	Image  string `json:"image,omitempty"`
}

// Context is the name of the kubeconfig's context.
func (s *State) Context() string { return s.Provider + "-" + s.Name }

// State returns what is noted, nil if nothing is.
func (f *Folder) State() (*State, error) {
	data, err := os.ReadFile(f.path(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the cluster's state: %w", err)
	}
	var s State
	if err = json.Unmarshal(data, &s); err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, hint.New("remove what is there and start anew: make down up",
			"%s is damaged: %w", f.path(stateFile), err)
	}
	return &s, nil
}

func (s *State) check() error {
	switch {
	case s.Provider != Kind && s.Provider != Local:
		return fmt.Errorf("unknown provider %q", s.Provider)
	case s.Name == "":
		return errors.New("no name")
	case s.Provider == Kind && (s.Engine == "" || s.Image == ""):
		return errors.New("no engine or image")
	}
	return nil
}

// Note replaces what is noted.
func (f *Folder) Note(s *State) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := replace(f.path(stateFile), append(data, '\n')); err != nil {
		return hint.New("make room, or choose another folder: make up CLUSTER=PATH", "note the cluster's state: %w", err)
	}
	return nil
}

// Forget takes back what was noted.
func (f *Folder) Forget() error {
	return ignoreMissing(os.Remove(f.path(stateFile)))
}
