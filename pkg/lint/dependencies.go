package lint

import (
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/requirements"
)

// declared is one requirement, and where it stands.
type declared struct {
	requirements.Requirement
	line requirements.Line
	file *File
}

// requirementFiles are the files that an installation from one of them reads:
// itself and what it names by -r, each once. Constraints (-c) are not among them.
func (r *Repo) requirementFiles(top *File) []*File {
	list := []*File{top}
	for i := 0; i < len(list) && len(list) < mostRequirementFiles; i++ {
		for _, line := range requirements.Lines(list[i].Bytes()) {
			if line.Option != "-r" && line.Option != "--requirement" {
				continue
			}
			if f, ok := r.File(path.Join(path.Dir(list[i].Path), line.Value)); ok && !slices.Contains(list, f) {
				list = append(list, f)
			}
		}
	}
	return list
}

const mostRequirementFiles = 50

// installedFrom are the requirements files that models' images are installed
// from, each with the names that constraints (-c) pin there.
func (r *Repo) installedFrom() map[*File]map[string]bool {
	constrained := map[*File]map[string]bool{}
	for _, m := range r.models {
		f, ok := m.modelRequirements()
		if !ok || f.Kind != Requirements {
			continue
		}
		names, files := map[string]bool{}, r.requirementFiles(f)
		for _, file := range files {
			file.addConstraints(names)
		}
		for _, file := range files {
			constrained[file] = names
		}
	}
	return constrained
}

// addConstraints adds the names whose version is pinned by files that this
// one names by -c.
func (f *File) addConstraints(names map[string]bool) {
	read := 0
	for _, line := range requirements.Lines(f.Bytes()) {
		if line.Option != "-c" && line.Option != "--constraint" {
			continue
		}
		file, ok := f.Repo.File(path.Join(path.Dir(f.Path), line.Value))
		if read++; !ok || read > mostRequirementFiles {
			continue
		}
		for _, d := range requirementsIn(file) {
			names[d.Name] = names[d.Name] || d.Pinned() != ""
		}
	}
}

// isMetadata says whether the package of the same folder takes its
// dependencies from a requirements file: then ranges are what belongs there.
func isMetadata(f *File) bool {
	for _, name := range []string{"setup.py", "setup.cfg", "pyproject.toml"} {
		file, ok := f.Repo.File(path.Join(path.Dir(f.Path), name))
		if ok && strings.Contains(string(file.Bytes()), path.Base(f.Path)) {
			return true
		}
	}
	return false
}

// requirementsIn reads the requirements of a file that can be read.
func requirementsIn(f *File) []declared {
	var list []declared
	for _, line := range requirements.Lines(f.Bytes()) {
		text := line.Value
		if line.Option == "-e" || line.Option == "--editable" {
			list = append(list, declared{requirements.Requirement{URL: text}, line, f})
			continue
		}
		if line.Option != "" {
			continue
		}
		if r, err := requirements.Parse(text); err == nil {
			list = append(list, declared{r, line, f})
		}
	}
	return list
}

// installsFrom says whether a file lists what an image or an environment is
// installed from, rather than what a developer's tools or documents need.
func installsFrom(f *File) bool {
	base := path.Base(f.Path)
	if f.Kind != Requirements || isTest(f.Path) || path.Ext(base) != ".txt" {
		return false
	}
	for _, other := range []string{"dev", "test", "doc", "lint", "example", "optional", "build", "constraint"} {
		if strings.Contains(strings.ToLower(f.Path), other) {
			return false
		}
	}
	return true
}

// modelRequirements is the file that image.requirements names; false if none
// is named, or it is not there or too large.
func (m *Model) modelRequirements() (*File, bool) {
	if m.Image.Requirements == "" {
		return nil, false
	}
	f, ok := m.File(m.Image.Requirements)
	return f, ok && f.Size <= f.most()
}

// pinsOf are the versions that a model's dependencies have for certain, by
// normalised name: from pinned requirements, or from uv.lock.
func (m *Model) pinsOf() map[string]declared {
	pins := map[string]declared{}
	f, ok := m.modelRequirements()
	if !ok {
		return pins
	}
	if f.Kind == Requirements {
		for _, file := range m.Repo.requirementFiles(f) {
			for _, d := range requirementsIn(file) {
				if d.Pinned() != "" && d.Marker == "" {
					pins[d.Name] = d
				}
			}
		}
		return pins
	}
	lock, ok := m.Repo.File(path.Join(path.Dir(f.Path), "uv.lock"))
	if !ok {
		return pins
	}
	lines := packageLines(lock)
	for _, p := range readLock(lock).Packages {
		pins[requirements.Normal(p.Name)] = declared{
			Requirement: requirements.Requirement{
				Name:       requirements.Normal(p.Name),
				Specifiers: []requirements.Specifier{{Operator: "==", Version: p.Version}},
			},
			line: requirements.Line{Number: lines[p.Name]}, file: lock,
		}
	}
	return pins
}

// packageLines are where the packages of a uv.lock or poetry.lock stand.
func packageLines(lock *File) map[string]int {
	lines := map[string]int{}
	for i, line := range lock.Lines() {
		if name, ok := strings.CutPrefix(line, `name = "`); ok && strings.HasSuffix(name, `"`) {
			if name = strings.TrimSuffix(name, `"`); lines[name] == 0 {
				lines[name] = i + 1
			}
		}
	}
	return lines
}

// lineWith is the first line that contains a text, or 1.
func lineWith(f *File, text string) int {
	for i, line := range f.Lines() {
		if strings.Contains(line, text) {
			return i + 1
		}
	}
	return 1
}
