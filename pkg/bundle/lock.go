package bundle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/proc"
)

const (
	projectFile = "pyproject.toml"
	lockFile    = "uv.lock"
)

// foreignLocks are locks of tools that cannot be asked for requirements here.
var foreignLocks = map[string]bool{"poetry.lock": true, "Pipfile": true, "Pipfile.lock": true, "pylock.toml": true, "pdm.lock": true}

// readProject reads a project's uv.lock, or its pyproject.toml where there is
// no lock. Both decide what is installed: the one by its versions and hashes,
// the other by its groups and indexes.
func (j *installation) readProject() error {
	folder := filepath.Dir(j.file)
	lock := filepath.Join(folder, lockFile)
	_, err := os.Stat(lock)
	j.locked = err == nil
	if path.Base(j.name) == lockFile {
		j.locked = true
	}
	files := []string{projectFile}
	if j.locked {
		files = append(files, lockFile)
	}
	var hashes []string
	for _, file := range files {
		name := path.Join(path.Dir(j.name), file)
		info, err := os.Stat(filepath.Join(folder, file))
		switch {
		case errors.Is(err, fs.ErrNotExist) && file == projectFile && j.locked:
			return fault.Newf(fault.Repository, "read requirements: no %s beside %s", projectFile, j.name).
				Hintf("add the file that the lock was made from")
		case errors.Is(err, fs.ErrNotExist):
			return fault.Newf(fault.Repository, "read requirements: no file %s", name).
				Hintf("add the file, or correct image.requirements in towline.yaml")
		case err == nil && info.Size() == 0:
			return fault.Newf(fault.Repository, "read requirements: %s is empty", name).
				Hintf("write it anew with: uv lock")
		}
		digest, err := digestOf(filepath.Join(folder, file), "")
		if err != nil {
			return diskFault("read "+name, err)
		}
		hashes = append(hashes, file+" "+digest)
	}
	j.content = strings.Join(hashes, "\n")
	return nil
}

// export turns a lock into requirements with hashes, in the folder of the work.
// Without a lock uv resolves the project itself.
func (b *Bundler) export(ctx context.Context, job *installation, work string) error {
	if !job.project {
		return nil
	}
	uv, err := b.findUV()
	if err != nil {
		return err
	}
	if uv == "" {
		return fault.Newf(fault.Missing, "install %s: found no uv, which alone can read it", job.name).
			Hintf("install uv and put it on the PATH, or name it by TOWLINE_UV")
	}
	if !job.locked {
		b.o.Log(job.name + " has no uv.lock beside it: versions are those of today")
		job.file = filepath.Join(filepath.Dir(job.file), projectFile)
		return nil
	}
	to := filepath.Join(work, "requirements.txt")
	command := proc.Command{
		Name: uv, Dir: filepath.Dir(job.file), Env: b.installerEnv(),
		Args: []string{
			"export", "--frozen", "--no-emit-workspace", "--no-dev", "--no-header", "--no-annotate", "--quiet",
			"--no-python-downloads", "--color", "never", "--output-file", to,
		},
	}
	if _, err := command.Output(ctx); err != nil {
		return exportFault(job, err)
	}
	job.folder, job.file = filepath.Dir(job.file), to
	return nil
}

func exportFault(job *installation, err error) error {
	text, ok := exited(err)
	if !ok {
		return installFault(job, err)
	}
	lock := path.Join(path.Dir(job.name), lockFile)
	if strings.Contains(text, "Failed to parse") {
		return fault.Newf(fault.Repository, "read %s: it is no lock of uv", lock).
			Hintf("write it anew with: uv lock").With(lastWords(text)...)
	}
	return fault.Newf(fault.Repository, "read %s: uv cannot turn it into requirements", lock).
		Hintf("write it anew with: uv lock").With(lastWords(text)...)
}
