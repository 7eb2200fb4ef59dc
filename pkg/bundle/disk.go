package bundle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"gitlab.com/towline/towline/pkg/fault"
)

// diskFault classifies an error of the file system; op says what was done to which file.
func diskFault(op string, err error) error {
	var known *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Newf(fault.Remote, "%s: %w", op, withoutPath(err)).
			Hintf("free some space, or set TOWLINE_CACHE to a folder on a larger disk")
	case errors.Is(err, fs.ErrPermission):
		return fault.Newf(fault.Denied, "%s: %w", op, err).
			Hintf("check who owns the file and its folder")
	case errors.Is(err, fs.ErrNotExist):
		return fault.Newf(fault.Missing, "%s: %w", op, err)
	}
	return fault.Newf(fault.Remote, "%s: %w", op, err)
}

// withoutPath leaves out the name of a file that the user does not know, such as a temporary one.
func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// syncFile makes sure that a file's content outlives a power cut.
func syncFile(name string) error {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
