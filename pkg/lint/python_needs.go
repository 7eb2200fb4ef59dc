package lint

import (
	"path"
	"strings"

	"gitlab.com/towline/towline/pkg/requirements"
)

// need is one package that a model declares, and where.
type need struct {
	requirements.Requirement
	file *File
	line int
}

// needs are the packages that a model's requirements file declares, by line.
// The file is false if there is none, or if it is no list of requirements:
// then nothing is known.
func (m *Model) needs() (list []need, file *File, ok bool) {
	name := m.Image.Requirements
	if name == "" {
		return nil, nil, false
	}
	file, ok = m.File(name)
	if !ok || path.Ext(name) != ".txt" && path.Ext(name) != ".in" {
		return nil, file, false
	}
	list, ok = needsOf(file)
	return list, file, ok
}

// needsOf are the requirements of one file; not ok if it takes in others.
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
		case "-r", "--requirement", "-e", "--editable":
			ok = false
		}
	}
	return list, ok
}

// declared finds what is asked of a package by the requirements next to a
// file: those of its model, or a requirements.txt in a folder above.
func (f *File) declared(name string) (requirements.Requirement, bool) {
	for _, file := range f.requirementFiles() {
		list, _ := needsOf(file)
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
