package lint

import (
	"encoding/json"
	"path"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"gitlab.com/towline/towline/pkg/requirements"
)

// contradicted reports packages of a lock that pyproject.toml does not admit.
// What goes by a marker may have several versions.
func contradicted(f *File, r *Report, source *File, packages []lockedPackage) {
	lines, locked := packageLines(f), map[string][]lockedPackage{}
	for _, p := range packages {
		name := requirements.Normal(p.Name)
		locked[name] = append(locked[name], p)
	}
	for _, text := range readProject(source).Project.Dependencies {
		wanted, err := requirements.Parse(text)
		if err != nil || wanted.Marker != "" {
			continue
		}
		for _, p := range locked[wanted.Name] {
			if p.Version != "" && p.Source.Git == "" && !requirements.Admit(wanted.Specifiers, p.Version) {
				r.At(f, lines[p.Name], 1, "%s is locked at %s, and %s asks for %s", p.Name, p.Version, source.Path, specifiers(wanted.Specifiers))
			}
		}
	}
}

func stalePoetryLock(f *File, r *Report) {
	source, ok := f.Repo.File(path.Join(path.Dir(f.Path), "pyproject.toml"))
	if !ok {
		return
	}
	packages := readLock(f).Packages
	contradicted(f, r, source, packages)
	locked := map[string]bool{}
	for _, p := range packages {
		locked[requirements.Normal(p.Name)] = true
	}
	project := readProject(source)
	for _, name := range sortedNames(project.Tool.Poetry.Dependencies) {
		if name != "python" && !isOptional(project.Tool.Poetry.Dependencies[name]) {
			inLock(f, r, source, locked, requirements.Normal(name))
		}
	}
	for _, text := range project.Project.Dependencies {
		if d, err := requirements.Parse(text); err == nil {
			inLock(f, r, source, locked, d.Name)
		}
	}
}

// isOptional says whether one of Poetry's dependencies is part of an extra.
func isOptional(dependency any) bool {
	table, _ := dependency.(map[string]any)
	return table["optional"] == true
}

func inLock(f *File, r *Report, source *File, locked map[string]bool, name string) {
	if !locked[name] {
		r.Whole(f, "%s is in %s, and not here", name, source.Path)
	}
}

// stalePipfileLock compares what Pipenv locked with what the Pipfile names.
func stalePipfileLock(f *File, r *Report) {
	source, ok := f.Repo.File(path.Join(path.Dir(f.Path), "Pipfile"))
	if !ok {
		return
	}
	var wanted struct {
		Packages map[string]any `toml:"packages"`
	}
	var locked struct {
		Default map[string]struct {
			Version string `json:"version"`
		} `json:"default"`
	}
	if toml.Unmarshal(source.Bytes(), &wanted) != nil || json.Unmarshal(f.Bytes(), &locked) != nil {
		return
	}
	lines, versions := quotedLines(f), map[string]string{}
	for name, p := range locked.Default {
		versions[requirements.Normal(name)] = p.Version
	}
	for _, name := range sortedNames(wanted.Packages) {
		have, found := versions[requirements.Normal(name)]
		asked, _ := wanted.Packages[name].(string)
		d, err := requirements.Parse(name + asked)
		switch {
		case !found:
			r.Whole(f, "%s is in %s, and not here", requirements.Normal(name), source.Path)
		case err == nil && len(have) > 2 && asked != "*" && !requirements.Admit(d.Specifiers, have[2:]):
			r.At(f, max(lines[name], 1), 1, "%s is locked at %s, and %s asks for %s", name, have[2:], source.Path, asked)
		}
	}
}

// quotedLines are the lines of a Pipfile.lock on which keys first stand.
func quotedLines(f *File) map[string]int {
	lines := map[string]int{}
	for i, line := range f.Lines() {
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), `"`), `"`)
		if lines[name] == 0 {
			lines[name] = i + 1
		}
	}
	return lines
}
