package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/requirements"
)

// dependencyRules are about dependencies, packaging and licences: family 8.
func dependencyRules() []Rule {
	return slices.Concat(requirementRules(), sourceRules(), lockRules(), imageRules())
}

func requirementRules() []Rule {
	return []Rule{{
		ID: "TL801", Name: "uninstalled-requirements", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "models without image.requirements beside a requirements.txt, pyproject.toml, uv.lock, poetry.lock or Pipfile, and locks of Poetry and Pipenv named there",
		Why:    "code alone enters the image then, and ends with ModuleNotFoundError in the job: SageMaker's script mode reads requirements.txt from the source folder by itself, so people expect it (aws/sagemaker-training-toolkit)",
		Advice: "name the file as image.requirements in towline.yaml; export another manager's lock first: poetry export -o requirements.txt, pipenv requirements > requirements.txt",
		Bad:    Example{Files: with(exampleWith("", ""), "requirements.txt", "numpy==2.0.0\n"), At: "towline.yaml:5"},
		Good:   Example{Files: with(exampleWith(`python: "3.11"`, `python: "3.11", requirements: requirements.txt`), "requirements.txt", "numpy==2.0.0\n")},
		Model:  uninstalledRequirements,
	}, {
		ID: "TL802", Name: "unpinned-requirement", Severity: Minor, In: map[Profile]Severity{Prototype: Info, Production: Major},
		Looks:  "requirements of a model's image without an exact version; elsewhere one finding for each requirements file, minor at the most",
		Why:    "numpy 2.0 (June 2024) changed its binary interface: what was built against 1.x and asked for numpy>=1.20 stopped importing from one day to the next (numpy 2.0 migration guide)",
		Advice: "pin it with ==, or let a tool do it: uv pip compile requirements.in -o requirements.txt",
		Bad:    Example{Files: map[string]string{"requirements.txt": "numpy>=1.20\n"}, At: "requirements.txt:1"},
		Good:   Example{Files: map[string]string{"requirements.txt": "numpy==2.0.0\n"}},
		File:   unpinned,
	}, {
		ID: "TL803", Name: "unreadable-requirement", Severity: Major,
		Looks:  "lines of requirements files that pip cannot read",
		Why:    "`conda list -e > requirements.txt` writes numpy=1.19.2=py38h456fd55_0, and pip ends with `Invalid requirement`, with the hint that = is no operator",
		Advice: "write name==version; from a conda environment use: pip list --format=freeze",
		Bad:    Example{Files: map[string]string{"requirements.txt": "pandas==2.2.2\nnumpy=1.19.2=py38h456fd55_0\n"}, At: "requirements.txt:2"},
		Good:   Example{Files: map[string]string{"requirements.txt": "pandas==2.2.2\nnumpy==1.19.2\n"}},
		File:   unreadable,
	}, {
		ID: "TL804", Name: "conflicting-pins", Severity: Major,
		Looks:  "one name with two versions in a requirements file and those it names by -r",
		Why:    "pip refuses it (`Double requirement given`), and only in the job: the laptop's environment was there already",
		Advice: "keep one of the two",
		Bad:    Example{Files: map[string]string{"requirements.txt": "numpy==1.26.0\npandas==2.2.2\nNumPy==2.0.0\n"}, At: "requirements.txt:3"},
		Good:   Example{Files: map[string]string{"requirements.txt": "numpy==1.26.0; python_version<'3.9'\npandas==2.2.2\nNumPy==2.0.0; python_version>='3.9'\n"}},
		File:   conflicting,
	}}
}

// with adds a file to those of an example.
func with(files map[string]string, name, text string) map[string]string {
	files[name] = text
	return files
}

// foreignManagers are those whose files towline package does not read.
var foreignManagers = map[string]string{"poetry.lock": "Poetry", "Pipfile": "Pipenv", "Pipfile.lock": "Pipenv", "pdm.lock": "PDM"}

func uninstalledRequirements(m *Model, r *Report) {
	if manager := foreignManagers[path.Base(m.Image.Requirements)]; manager != "" {
		r.Manifest(m.Position("image.requirements"), "nothing can be installed from %s: it is %s's", m.Image.Requirements, manager)
	}
	if m.Image.Requirements != "" {
		return
	}
	for _, name := range []string{"uv.lock", "requirements.txt", "pyproject.toml", "poetry.lock", "Pipfile"} {
		f, ok := m.File(name)
		if !ok || name == "requirements.txt" && len(requirementsIn(f)) == 0 {
			continue
		}
		if name == "pyproject.toml" && len(readProject(f).Project.Dependencies) == 0 {
			continue
		}
		r.Manifest(m.Position("image"), "%s is not installed: image.requirements does not name it", f.Path)
		return
	}
}

func unpinned(f *File, r *Report) {
	if f.Kind != Requirements {
		return
	}
	constrained, inImage := f.Repo.imageFiles()[f]
	switch {
	case inImage:
		unpinnedInImage(f, constrained, r)
	case installsFrom(f) && !isMetadata(f):
		unpinnedElsewhere(f, r)
	}
}

// unpinnedInImage reports each requirement that enters a model's image without
// a version.
func unpinnedInImage(f *File, constrained map[string]bool, r *Report) {
	var pins []pinned
	var certain []*Finding
	for _, d := range unpinnedIn(f, constrained) {
		found := r.At(f, d.line.Number, 1, "%s is not pinned: the image holds whatever is newest on that day", d.Name)
		if p, ok := pin(f, d); ok {
			pins, certain = append(pins, p), append(certain, found)
		}
	}
	for _, found := range certain {
		found.Fix = fixPins(f, pins)
	}
}

// unpinnedElsewhere reports a file that no image is made from as far as the
// manifest says: once, and once more for what can be mended.
func unpinnedElsewhere(f *File, r *Report) {
	constrained := map[string]bool{}
	f.addConstraints(constrained)
	var pins []pinned
	var certain, rest []declared
	for _, d := range unpinnedIn(f, constrained) {
		if p, ok := pin(f, d); ok {
			pins, certain = append(pins, p), append(certain, d)
		} else {
			rest = append(rest, d)
		}
	}
	r.unpinned(f, rest)
	if found := r.unpinned(f, certain); found != nil {
		found.Fix = fixPins(f, pins)
	}
}

// unpinned reports several requirements in one finding, if there are any.
func (r *Report) unpinned(f *File, list []declared) *Finding {
	if len(list) == 0 {
		return nil
	}
	what := list[0].Name + " is not pinned"
	if more := len(list) - 1; more > 0 {
		what = fmt.Sprintf("%s and %s are not pinned", list[0].Name, counted(more, "other", "others"))
	}
	found := r.At(f, list[0].line.Number, 1, "%s: what is installed is whatever is newest on that day", what)
	found.Severity = min(found.Severity, Minor)
	return found
}

// unpinnedIn are the requirements of a file that may have any of several
// versions: without one of their own, and without one by a constraint.
func unpinnedIn(f *File, constrained map[string]bool) []declared {
	return slices.DeleteFunc(requirementsIn(f), func(d declared) bool {
		return d.Name == "" || d.URL != "" || d.Pinned() != "" || constrained[d.Name]
	})
}

func unreadable(f *File, r *Report) {
	if f.Kind != Requirements || !installsFrom(f) && path.Base(f.Path) != "requirements.txt" || f.Binary() && !strings.HasPrefix(string(f.Head(2)), "\xff\xfe") {
		return
	}
	if isTemplate(f) || isOfSystem(f.Path) {
		return
	}
	for _, line := range requirements.Lines(f.Bytes()) {
		if line.Option != "" || strings.Contains(line.Value, "${") {
			continue
		}
		if _, err := requirements.Parse(line.Value); err != nil {
			r.At(f, line.Number, 1, "pip cannot read this line: %v", err)
		}
	}
}

// isOfSystem says whether a file lists packages of the system: those of apt
// and the like.
func isOfSystem(name string) bool {
	base := strings.ToLower(path.Base(name))
	return slices.ContainsFunc([]string{"deb-", "apt", "system", "conda", "rpm", "brew"}, func(word string) bool { return strings.HasPrefix(base, word) })
}

// isTemplate says whether a file is a template of another tool.
func isTemplate(f *File) bool {
	return strings.Contains(f.Path, "{{") || strings.Contains(string(f.Bytes()), "{{") || strings.Contains(string(f.Bytes()), "{%")
}

func conflicting(f *File, r *Report) {
	if f.Kind != Requirements {
		return
	}
	pins := map[string]declared{}
	for _, file := range f.Repo.requirementFiles(f) {
		for _, d := range requirementsIn(file) {
			version := d.Pinned()
			if version == "" || d.Marker != "" {
				continue
			}
			first, twice := pins[d.Name]
			if !twice {
				pins[d.Name] = d
				continue
			}
			if first.Pinned() == version {
				continue
			}
			// It is told where it can be mended: in this file, whichever of the two is in it.
			here, other := d, first
			if here.file != f {
				here, other = first, d
			}
			if here.file == f {
				r.At(f, here.line.Number, 1, "%s is pinned to %s here, and to %s in %s", d.Name, here.Pinned(), other.Pinned(), fmt.Sprintf("%s:%d", other.file.Path, other.line.Number))
			}
		}
	}
}
