package lint

import (
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/requirements"
)

// need is one package that a model declares, and where.
type need struct {
	requirements.Requirement
	file *File
	line int
}

// needs are what the file of image.requirements brings, and that file: the
// lock, where there is one. Not ok if all of it cannot be known.
func (m *Model) needs() (list []need, file *File, ok bool) {
	file, ok = m.modelRequirements()
	if !ok {
		return nil, nil, false
	}
	if file.Kind == Requirements || path.Ext(file.Path) == ".txt" || path.Ext(file.Path) == ".in" {
		list, ok = m.Repo.needsOf(file)
		return list, file, ok
	}
	if lock, locked := m.Repo.File(path.Join(path.Dir(file.Path), "uv.lock")); locked {
		lines := packageLines(lock)
		for _, p := range readLock(lock).Packages {
			list = append(list, need{requirements.Requirement{Name: requirements.Normal(p.Name)}, lock, lines[p.Name]})
		}
		return list, lock, len(list) > 0
	}
	list, ok = asked(file)
	return list, file, ok
}

// asked are the dependencies that a pyproject.toml names; not ok if it leaves
// them to something else.
func asked(file *File) (list []need, ok bool) {
	project := readProject(file).Project
	if path.Base(file.Path) != "pyproject.toml" || project.Name == "" || slices.Contains(project.Dynamic, "dependencies") {
		return nil, false
	}
	for _, text := range project.Dependencies {
		r, err := requirements.Parse(text)
		if err != nil {
			return nil, false
		}
		list = append(list, need{r, file, lineWith(file, text)})
	}
	return list, true
}

// needsOf are the requirements of a file and of those that it takes in by -r;
// not ok if there are some that have no name.
func (r *Repo) needsOf(top *File) (list []need, ok bool) {
	ok = true
	for _, file := range r.requirementFiles(top) {
		part, named := needsOf(file)
		list, ok = append(list, part...), ok && named
	}
	return list, ok
}

// needsOf are the requirements of one file; not ok if it has some without a name.
func needsOf(file *File) (list []need, ok bool) {
	ok = true
	for _, line := range requirements.Lines(file.Bytes()) {
		switch line.Option {
		case "":
			if r, err := requirements.Parse(line.Value); err == nil && r.Name != "" {
				list = append(list, need{r, file, line.Number})
			} else {
				ok = false
			}
		case "-r", "--requirement":
			_, there := file.Repo.File(path.Join(path.Dir(file.Path), line.Value))
			ok = ok && there
		case "-e", "--editable":
			ok = false
		}
	}
	return list, ok
}

// declared finds what is asked of a package by the requirements next to a
// file: those of its model, or a requirements.txt in a folder above.
func (f *File) declared(name string) (requirements.Requirement, bool) {
	for _, file := range f.requirementFiles() {
		list, _ := f.Repo.needsOf(file)
		if path.Base(file.Path) == "pyproject.toml" {
			list, _ = asked(file)
		}
		for _, n := range list {
			if n.Name == name {
				return n.Requirement, true
			}
		}
	}
	return requirements.Requirement{}, false
}

func (f *File) requirementFiles() []*File {
	var files []*File
	for _, m := range f.Repo.models {
		if within(f.Path, m.Path) && m.Image.Requirements != "" {
			if file, ok := m.File(m.Image.Requirements); ok {
				files = append(files, file)
			}
		}
	}
	for folder := path.Dir(f.Path); len(files) == 0; folder = path.Dir(folder) {
		if file, ok := f.Repo.File(path.Join(folder, "requirements.txt")); ok {
			files = append(files, file)
		}
		if folder == "." {
			break
		}
	}
	return files
}

// within says whether a path lies in a folder.
func within(name, folder string) bool {
	folder = path.Clean(folder)
	return folder == "." || strings.HasPrefix(name, folder+"/")
}

// pinnedBelow says whether the requirements pin a package to a version before
// that one.
func (f *File) pinnedBelow(name, version string) bool {
	r, ok := f.declared(name)
	if !ok || r.Pinned() == "" {
		return false
	}
	admits, known := requirements.Specifier{Operator: "<", Version: version}.Admits(r.Pinned())
	return known && admits
}

// heldBelow says whether the requirements keep a package before a version:
// by a pin, or by an upper bound.
func (f *File) heldBelow(name, version string) bool {
	r, ok := f.declared(name)
	if !ok {
		return false
	}
	for _, s := range r.Specifiers {
		if (s.Operator == "<" || s.Operator == "<=") && s.Version != "" {
			if below, known := (requirements.Specifier{Operator: "<=", Version: version}).Admits(s.Version); known && below {
				return true
			}
		}
	}
	return f.pinnedBelow(name, version)
}
