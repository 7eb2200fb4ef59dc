package archive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
)

// Staging is a folder in the making. It lies beside its place, under another
// name, until Commit puts it there.
type Staging struct {
	target string
	dir    string
	root   *os.Root
	made   sync.Map // folders that there are
}

// Stage begins a folder that is to lie at target, an absolute path.
func Stage(target string) (*Staging, error) {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return nil, diskFault(err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(target), "."+filepath.Base(target)+"-")
	if err != nil {
		return nil, diskFault(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(diskFault(err), os.RemoveAll(dir))
	}
	return &Staging{target: target, dir: dir, root: root}, nil
}

// Dir is where the files lie until Commit.
func (s *Staging) Dir() string { return s.dir }

// Spool makes a file beside the staging folder, which is gone when it is closed.
func (s *Staging) Spool() (*os.File, error) {
	file, err := os.CreateTemp(filepath.Dir(s.target), "."+filepath.Base(s.target)+"-download-")
	if err != nil {
		return nil, diskFault(err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(diskFault(err), file.Close())
	}
	return file, nil
}

// Write writes a small file into the folder.
func (s *Staging) Write(name string, body []byte) error {
	return diskFault(s.root.WriteFile(filepath.FromSlash(name), body, 0o644))
}

// create makes a file, and the folders above it. There is none of its name yet.
func (s *Staging) create(name string, exec bool) (*os.File, error) {
	if err := s.mkdir(filepath.Dir(filepath.FromSlash(name))); err != nil {
		return nil, err
	}
	mode := fs.FileMode(0o644)
	if exec {
		mode = 0o755
	}
	file, err := s.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	return file, diskFault(err)
}

func (s *Staging) mkdir(dir string) error {
	if _, made := s.made.Load(dir); made {
		return nil
	}
	if err := s.root.MkdirAll(dir, 0o755); err != nil {
		return diskFault(err)
	}
	s.made.Store(dir, true)
	return nil
}

// Commit puts the folder in its place. One that was there is taken away whole;
// after an error it is there still.
func (s *Staging) Commit() error {
	if err := s.root.Close(); err != nil {
		return diskFault(err)
	}
	if err := os.Chmod(s.dir, 0o755); err != nil { //nolint:gosec // a folder like any other
		return diskFault(err)
	}
	old := s.dir + ".old"
	switch err := os.Rename(s.target, old); {
	case errors.Is(err, fs.ErrNotExist):
		old = ""
	case err != nil:
		return diskFault(err)
	}
	if err := os.Rename(s.dir, s.target); err != nil {
		if old != "" {
			err = errors.Join(err, os.Rename(old, s.target))
		}
		return diskFault(err)
	}
	s.dir = ""
	if old == "" {
		return nil
	}
	return diskFault(os.RemoveAll(old))
}

// Abort removes what there is of a folder that was not committed.
func (s *Staging) Abort() {
	_ = s.root.Close()
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

func diskFault(err error) error {
	if err == nil {
		return nil
	}
	return fault.Newf(fault.Remote, "unpack: %w", err).
		Hintf("check that there is space on the disk and that the folder may be written; nothing was unpacked")
}
