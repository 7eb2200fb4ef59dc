package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"

	"gitlab.com/towline/towline/pkg/fault"
)

// WriteFile writes a file of a workspace, whose path is absolute, and the
// folders above it. The file is replaced whole or, after an error, not at all.
func WriteFile(path string, body []byte) error {
	inside := string(filepath.Separator) + Folder + string(filepath.Separator)
	at := strings.LastIndex(path, inside)
	if at < 0 {
		return fault.Newf(fault.Bug, "write %s: the file is not in a folder %s", path, Folder)
	}
	w, err := Open(path[:at])
	if err != nil {
		return err
	}
	if err := w.Create(); err != nil {
		return err
	}
	return w.write(path[at+len(inside):], body)
}

// write replaces a file, given relative to the workspace. Links cannot lead out of it.
func (w *Workspace) write(name string, body []byte) error {
	op := "write " + shown(name)
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		return diskFault(op, err)
	}
	defer root.Close()
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return diskFault(op, err)
	}
	return diskFault(op, renameio.WriteFile(name, body, 0o644, renameio.WithRoot(root)))
}

// diskFault classifies an error of the file system; op says what was done to which file.
func diskFault(op string, err error) error {
	if err == nil {
		return nil
	}
	cause := err
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		cause = pathError.Err // op names the file already
	}
	var linkError *os.LinkError
	if errors.As(err, &linkError) {
		cause = linkError.Err
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Newf(fault.Remote, "%s: %w", op, cause).
			Hintf("free some space on the disk; what was there before is still there")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fault.Newf(fault.Denied, "%s: %w", op, cause).
			Hintf("check who owns the folder %s, and that it may be written", Folder)
	case errors.Is(err, fs.ErrNotExist):
		return fault.Newf(fault.Missing, "%s: %w", op, cause)
	}
	return fault.Newf(fault.Repository, "%s: %w", op, cause).
		Hintf("look at the folder %s; it may be removed as a whole", Folder)
}

// ReplaceIn writes a file of an opened folder: it is replaced whole or, after
// an error, not at all. It keeps the mode of a file that is there.
func ReplaceIn(root *os.Root, name string, body []byte) error {
	mode := fs.FileMode(0o644)
	if info, err := root.Lstat(name); err == nil {
		mode = info.Mode().Perm()
	}
	return renameio.WriteFile(name, body, mode, renameio.WithRoot(root))
}

// ReplaceFile writes a file anywhere, as ReplaceIn does. What is no plain file,
// such as /dev/stdout, is written to.
func ReplaceFile(name string, body []byte) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(name, body, 0o644)
	}
	return renameio.WriteFile(name, body, 0o644)
}
