//go:build !linux && !darwin

package workspace

import "gitlab.com/towline/towline/pkg/fault"

// Free is how many bytes can still be written where a folder is. It is not
// known here.
func Free(dir string) (uint64, error) {
	return 0, fault.Newf(fault.Missing, "measure the disk of %s: this system does not tell", dir)
}
