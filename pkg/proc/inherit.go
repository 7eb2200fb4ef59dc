package proc

import (
	"os"
	"strconv"
	"syscall"
)

// descriptors lists the open files of the process that reads it.
const descriptors = "/dev/fd"

// KeepFiles keeps from all programs that are started from here on the open
// files that this process has of whoever started it, but for the standard
// three. What Go itself opens is kept from them anyway. A program that outlives
// this one would otherwise hold the caller's locks and pipes.
func KeepFiles() error {
	open, err := os.ReadDir(descriptors)
	if err != nil {
		return err
	}
	for _, entry := range open {
		if number, err := strconv.Atoi(entry.Name()); err == nil && number > 2 {
			syscall.CloseOnExec(number) // of one that was closed meanwhile, the folder's own: nothing
		}
	}
	return nil
}
