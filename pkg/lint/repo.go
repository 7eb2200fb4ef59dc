package lint

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/manifest"
)

// Repo is the repository as rules see it. Rules do not change it.
type Repo struct {
	Profile Profile

	files     []*File // by path
	folders   map[string]bool
	tracked   map[string]bool // nil if git's list is not known
	installed map[string]string
	manifest  *manifest.Manifest
	problems  []manifest.Problem
	models    []*Model

	imageFiles func() map[*File]map[string]bool // see installedFrom; made once

	fsys    fs.FS
	limits  Limits
	only    selection
	exclude excluder
}

// Files are all files, by path; links and what is neither file nor folder are
// not among them.
func (r *Repo) Files() []*File { return r.files }

// File finds a file by its path.
func (r *Repo) File(name string) (*File, bool) {
	if i := r.from(name); i < len(r.files) && r.files[i].Path == name {
		return r.files[i], true
	}
	return nil, false
}

// Folder says whether there is a file in or below a folder.
func (r *Repo) Folder(name string) bool { return r.folders[path.Clean(name)] }

// Tracked says whether git tracks a file. Where git's list is not known, every
// file counts as tracked.
func (r *Repo) Tracked(name string) bool { return r.tracked == nil || r.tracked[name] }

// Installed is the version of a Python package in the project's environment;
// false if there is no environment, or it lacks the package. Names are as in
// PEP 503, normalised.
func (r *Repo) Installed(name string) (version string, ok bool) {
	version, ok = r.installed[name]
	return version, ok
}

// Wanted says whether findings in a file are asked for.
func (r *Repo) Wanted(name string) bool { return r.only.has(name) && !r.exclude.all(name) }

// Manifest is towline.yaml, and whether there is a valid one.
func (r *Repo) Manifest() (manifest.Manifest, bool) {
	if r.manifest == nil {
		return manifest.Manifest{}, false
	}
	return *r.manifest, true
}

// ManifestProblems are what is wrong with a towline.yaml that is not valid.
func (r *Repo) ManifestProblems() []manifest.Problem { return r.problems }

// Models are the models of the manifest, in its order; none if it is not valid.
func (r *Repo) Models() []*Model { return r.models }

// Position finds a key of the manifest, such as environments.prod.region: the
// place of its value, or of the nearest key above that is written out.
func (r *Repo) Position(key string) manifest.Position {
	if r.manifest == nil {
		return manifest.Position{}
	}
	return r.manifest.Where(key)
}

// Model is one model of the manifest, with its files.
type Model struct {
	manifest.Model
	Repo  *Repo
	index int
	files []*File
}

// Files are the files of the model's folder and of its shared folders, by path.
func (m *Model) Files() []*File { return m.files }

// PythonFiles are those of its files that hold Python; notebooks are not among them.
func (m *Model) PythonFiles() []*File {
	var list []*File
	for _, f := range m.files {
		if f.Kind == Python {
			list = append(list, f)
		}
	}
	return list
}

// File finds a file by its path relative to the model's folder.
func (m *Model) File(name string) (*File, bool) { return m.Repo.File(path.Join(m.Path, name)) }

// Entry finds the Python file that a command runs: `python train.py`,
// `python -u -m pkg.train`, `./train.py`, `./train`.
func (m *Model) Entry(command []string) (*File, bool) {
	for i, word := range command {
		switch {
		case word == "-c":
			return nil, false
		case word == "-m" && i+1 < len(command):
			return m.module(command[i+1])
		case strings.HasSuffix(word, ".py") && !strings.HasPrefix(word, "-"):
			return m.File(word)
		}
		if f, ok := m.File(word); ok && f.Kind == Python {
			return f, true
		}
	}
	return nil, false
}

// module finds the file that `python -m name` runs.
func (m *Model) module(name string) (*File, bool) {
	stem := strings.ReplaceAll(name, ".", "/")
	for _, candidate := range []string{stem + ".py", stem + "/__main__.py"} {
		if f, ok := m.File(candidate); ok {
			return f, true
		}
	}
	return nil, false
}

// Position finds a key of the model in the manifest, such as train.command[0]:
// the place of its value, or of the nearest key above that is written out.
func (m *Model) Position(key string) manifest.Position {
	return m.Repo.Position(fmt.Sprintf("models[%d].%s", m.index, key))
}

// addModels finds the files of each model of the manifest.
func (r *Repo) addModels() {
	if r.manifest == nil {
		return
	}
	for i, model := range r.manifest.Models {
		m := &Model{Model: model, Repo: r, index: i}
		for _, folder := range append([]string{model.Path}, model.Shared...) {
			m.files = append(m.files, r.below(path.Clean(folder))...)
		}
		slices.SortFunc(m.files, func(a, b *File) int { return strings.Compare(a.Path, b.Path) })
		m.files = slices.Compact(m.files)
		r.models = append(r.models, m)
	}
}

// below lists the files in and below a folder.
func (r *Repo) below(folder string) []*File {
	if folder == "." {
		return r.files
	}
	from := r.from(folder + "/")
	to := r.from(folder + "0") // the character after the slash
	return r.files[from:to]
}

func (r *Repo) from(name string) int {
	i, _ := slices.BinarySearchFunc(r.files, name, func(f *File, name string) int { return strings.Compare(f.Path, name) })
	return i
}
