package workspace

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
)

// Record is the file of the model's record, and Env that of its dotenv form.
func (w *Workspace) Record(m manifest.Manifest, model string) string {
	return filepath.Join(w.Model(m, model), record.File)
}

// Env is the file of the dotenv form of the model's record.
func (w *Workspace) Env(m manifest.Manifest, model string) string {
	return filepath.Join(w.Model(m, model), record.EnvFile)
}

// ReadRecord reads the record that an earlier job left. Its error is a
// fault.Missing if there is none, and a fault.Repository if it cannot be used.
func (w *Workspace) ReadRecord(m manifest.Manifest, model string) (record.Record, error) {
	name := filepath.Join(place(m, model), record.File)
	data, err := w.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return record.Record{}, fault.Newf(fault.Missing, "no %s from an earlier job", shown(name)).
			Hintf("add the version job to this job's needs, or run: towline version")
	}
	if err != nil {
		return record.Record{}, diskFault("read "+shown(name), err)
	}
	r, err := record.Unmarshal(data)
	if err != nil {
		return record.Record{}, err
	}
	if r.Project != m.Project || r.Model != model {
		return record.Record{}, fault.Newf(fault.Repository, "read %s: it is of %s/%s, wanted %s/%s",
			shown(name), r.Project, r.Model, m.Project, model).
			Hintf("run towline version again to write a new record")
	}
	return r, nil
}

// LoadRecord reads the record that an earlier job left, and says whether there
// is one that can be used.
func (w *Workspace) LoadRecord(m manifest.Manifest, model string) (record.Record, bool) {
	r, err := w.ReadRecord(m, model)
	return r, err == nil
}

// SaveRecord writes the record and its dotenv form. In a repository with
// several models it leaves those of the others alone, and the index too.
func (w *Workspace) SaveRecord(m manifest.Manifest, r record.Record) error {
	if _, known := m.Model(r.Model); !known {
		return fault.Newf(fault.Bug, "write %s: %s has no model %q", record.File, manifest.File, r.Model)
	}
	prefix := record.EnvPrefix
	if len(m.Models) > 1 {
		prefix = record.Prefix(r.Model)
	}
	env, err := r.Env(prefix)
	if err != nil {
		return err
	}
	body, err := record.Marshal(r)
	if err != nil {
		return err
	}
	if err := w.Create(); err != nil {
		return err
	}
	folder := place(m, r.Model)
	if err := w.write(filepath.Join(folder, record.EnvFile), env); err != nil {
		return err
	}
	return w.write(filepath.Join(folder, record.File), body)
}

// SaveVersions writes the records of a version job and, in a repository with
// several models, the index of them. Only that job writes the index, so that
// jobs of different models never overwrite each other's files.
func (w *Workspace) SaveVersions(m manifest.Manifest, records []record.Record) error {
	for _, r := range records {
		if err := w.SaveRecord(m, r); err != nil {
			return err
		}
	}
	if len(m.Models) <= 1 {
		return nil
	}
	body, err := record.MarshalIndex(record.Index{Schema: record.IndexSchema, Project: m.Project, Models: records})
	if err != nil {
		return err
	}
	return w.write(record.File, body)
}

// read reads a file, given relative to the workspace. Links cannot lead out of it.
func (w *Workspace) read(name string) ([]byte, error) {
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, record.MaxSize+1))
}

// shown is a file of the workspace as a user sees it.
func shown(name string) string { return filepath.ToSlash(filepath.Join(Folder, name)) }
