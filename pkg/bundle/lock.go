package bundle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/proc"
)

const (
	projectFile = "pyproject.toml"
	lockFile    = "uv.lock"
)

// foreignLocks are files of tools that cannot be asked for requirements here,
// and what makes a requirements file of them.
var foreignLocks = map[string]string{
	"poetry.lock": poetryExport, "pdm.lock": "pdm export --output requirements.txt",
	"Pipfile": "pipenv requirements > requirements.txt", "Pipfile.lock": "pipenv requirements > requirements.txt",
	"pylock.toml": "the tool that made it", "environment.yml": "pip list --format freeze", "environment.yaml": "pip list --format freeze",
}

const poetryExport = "poetry export --output requirements.txt"

// projectTable begins what pyproject.toml says of a project in the standard's words.
var projectTable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^\s*\[\s*project\s*[.\]]`) })

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
		if err := j.hasProject(folder, file); err != nil {
			return err
		}
		hashes = append(hashes, file+" "+digest)
	}
	j.content = strings.Join(hashes, "\n")
	return nil
}

// hasProject refuses a pyproject.toml without lock that names its dependencies
// in a tool's own tables, which no other tool reads.
func (j *installation) hasProject(folder, file string) error {
	if file != projectFile || j.locked {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return diskFault("read "+j.name, err)
	}
	if projectTable().Match(text) {
		return nil
	}
	return fault.Newf(fault.Repository, "read %s: it has no [project] table, whose dependencies are wanted", j.name).
		Hintf("with poetry, run %s and name that file under image.requirements; else add the table", poetryExport)
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
	return refuseEditable(job.name, to)
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
