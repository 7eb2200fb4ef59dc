//go:build linux || darwin

package workspace

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"

	"gitlab.com/towline/towline/pkg/fault"
)

// Free is how many bytes can still be written where a folder is, or would be
// made.
func Free(dir string) (uint64, error) {
	var stat syscall.Statfs_t
	for {
		err := syscall.Statfs(dir, &stat)
		switch parent := filepath.Dir(dir); {
		case err == nil:
			return uint64(stat.Bavail) * uint64(stat.Bsize), nil //nolint:gosec,unconvert // sizes differ between systems, and are not negative
		case errors.Is(err, fs.ErrNotExist) && parent != dir:
			dir = parent
		default:
			return 0, fault.Newf(fault.Missing, "measure the disk of %s: %w", dir, err)
		}
	}
}
