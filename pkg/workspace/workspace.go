// Package workspace is the folder .towline, in which a job leaves what later
// jobs read.
//
// In come records and reports; out go files that are whole or not there, laid
// out for one model or for several, under a lock. It never follows a link out
// of the folder, and knows nothing of what the files mean.
package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
)

// Folder is the name of the workspace, at the top of a model repository.
const Folder = ".towline"

// Workspace is the folder .towline of one repository. Its methods that give a
// path change nothing.
type Workspace struct {
	dir string
}

// Open finds the workspace of the repository at root, an absolute path. It
// creates nothing, and refuses a .towline that is not a folder of the repository's own.
func Open(root string) (*Workspace, error) {
	w := &Workspace{dir: filepath.Join(root, Folder)}
	info, err := os.Lstat(w.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return nil, diskFault("open "+Folder, err)
	}
	if !info.IsDir() {
		return nil, fault.Newf(fault.Repository, "open %s: found a link or a file, wanted a folder", Folder).
			Hintf("remove %s: Towline makes one of its own", Folder)
	}
	return w, nil
}

// Create makes the folder, and in it a .gitignore that keeps it out of git.
func (w *Workspace) Create() error {
	if err := os.Mkdir(w.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return diskFault("create "+Folder, err)
	}
	ignore := filepath.Join(w.dir, ".gitignore")
	if _, err := os.Lstat(ignore); err == nil {
		return nil
	}
	return w.write(".gitignore", []byte("*\n"))
}

// Dir is the folder itself.
func (w *Workspace) Dir() string { return w.dir }

// Model is the folder of one model's files: the workspace itself in a
// repository with one model, else a folder in it.
func (w *Workspace) Model(m manifest.Manifest, model string) string {
	return filepath.Join(w.dir, place(m, model))
}

// Image is the folder of the model's OCI layout.
func (w *Workspace) Image(m manifest.Manifest, model string) string {
	return filepath.Join(w.Model(m, model), "image")
}

// Reports is the folder of the model's reports.
func (w *Workspace) Reports(m manifest.Manifest, model string) string {
	return filepath.Join(w.Model(m, model), "reports")
}

// Plan is the file of the model's last plan.
func (w *Workspace) Plan(m manifest.Manifest, model string) string {
	return filepath.Join(w.Model(m, model), "plan.json")
}

// Local is the folder of the local cloud's state.
func (w *Workspace) Local() string { return filepath.Join(w.dir, "local") }

// place is the folder of a model's files within the workspace.
func place(m manifest.Manifest, model string) string {
	if len(m.Models) <= 1 {
		return "."
	}
	return model
}
