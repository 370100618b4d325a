// Package folder is the state folder of one cluster: where its files are, who
// may change them now, and what was noted about the cluster.
//
//	kubeconfig   for clients, complete once the cluster is ready
//	state.json   which provider, under which name
//	up.lock      held by the command that is changing the cluster
//	local/       the local control plane's keys, certificates and data
//	logs/        what is left when the cluster is gone
package folder

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"client-go-lessons/cluster/internal/hint"
)

// Folder is a state folder by its absolute path.
type Folder struct{ Dir string }

// At returns the folder at the path, which need not exist.
func At(path string) (*Folder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	} else if real, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(real, filepath.Base(abs))
	}
	return &Folder{Dir: abs}, nil
}

func (f *Folder) path(name string) string { return filepath.Join(f.Dir, name) }

// Kubeconfig is the file for clients.
func (f *Folder) Kubeconfig() string { return f.path("kubeconfig") }

// Local is the local control plane's own folder.
func (f *Folder) Local() string { return f.path("local") }

// Logs is the folder for logs.
func (f *Folder) Logs() string { return f.path("logs") }

// Exists tells whether there is a folder.
func (f *Folder) Exists() bool {
	info, err := os.Stat(f.Dir)
	return err == nil && info.IsDir()
}

// DefaultName is a cluster name that no other folder gets, so that two
// workspaces can share a container engine.
func (f *Folder) DefaultName() string {
	sum := sha256.Sum256([]byte(f.Dir))
	return "client-go-lessons-" + hex.EncodeToString(sum[:3])
}

// Create makes the folder, if need be, and makes sure that it can be written.
func (f *Folder) Create() error {
	err := os.MkdirAll(f.Dir, 0o700)
	if err == nil {
		err = f.probe()
	}
	if err != nil {
		return hint.New("choose a folder that you can write to: make up CLUSTER=PATH",
			"cannot write to the state folder: %w", err)
	}
	return nil
}

func (f *Folder) probe() error {
	t, err := os.CreateTemp(f.Dir, ".probe-*")
	if err != nil {
		return err
	}
	_, err = t.Write(make([]byte, 4096))
	return errors.Join(err, t.Close(), os.Remove(t.Name()))
}

// Remove deletes everything but the logs, and the folder too if nothing is
// left in it.
func (f *Folder) Remove() error {
	var errs []error
	for _, name := range []string{"kubeconfig", "kubeconfig.lock", "kubeconfig.part", stateFile, stateFile + ".part", "local", lockFile} {
		errs = append(errs, os.RemoveAll(f.path(name)))
	}
	// These two fail, rightly, where there are logs.
	_ = os.Remove(f.Logs())
	_ = os.Remove(f.Dir)
	if err := errors.Join(errs...); err != nil {
		return hint.New("delete "+f.Dir+" by hand", "clean the state folder: %w", err)
	}
	return nil
}

// WriteKubeconfig replaces the kubeconfig in one step.
func (f *Folder) WriteKubeconfig(data []byte) error {
	return replace(f.Kubeconfig(), data)
}

func replace(path string, data []byte) error {
	part := path + ".part"
	if err := os.WriteFile(part, data, 0o600); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(part)))
	}
	return os.Rename(part, path)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
