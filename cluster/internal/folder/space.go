package folder

import (
	"syscall"

	"client-go-lessons/cluster/internal/hint"
)

// needed is what a local control plane writes in its first hour, with room to
// spare: etcd sets aside 64 MB at once for each file of its log.
const needed = 256 << 20

// CheckSpace tells whether a local control plane has room for its data.
func (f *Folder) CheckSpace() error {
	var fs syscall.Statfs_t
	err := syscall.Statfs(f.Dir, &fs)
	free := fs.Bavail * uint64(fs.Bsize)
	// Where nobody can tell how much room there is, there may be enough.
	if err == nil && free < needed {
		return hint.New("make room, or choose another folder: make up CLUSTER=PATH",
			"%s has %d MB free; a local control plane needs %d MB", f.Dir, free>>20, needed>>20)
	}
	return nil
}
