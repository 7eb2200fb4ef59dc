package lint

import (
	"maps"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/requirements"
)

// lockRules are about locks, and what is installed from them.
func lockRules() []Rule {
	const project = "[project]\nname = \"ours\"\nversion = \"0\"\nrequires-python = \">=3.9\"\ndependencies = [\"numpy>=1.26\"]\n"
	const lock = "version = 1\n[[package]]\nname = \"ours\"\nversion = \"0\"\nsource = { virtual = \".\" }\n[package.metadata]\nrequires-dist = [{ name = \"numpy\", specifier = \">=1.26\" }]\n"
	const wheels = "[[package]]\nname = \"fast\"\nversion = \"1.0\"\nwheels = [{ url = \"https://x.example/fast-1.0-cp311-cp311-"
	named := func() map[string]string {
		return exampleWith(`python: "3.11"`, `python: "3.11", requirements: pyproject.toml`)
	}
	return []Rule{{
		ID: "TL809", Name: "stale-lock", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "dependencies of pyproject.toml, Pipfile or requirements.in that uv.lock, poetry.lock, Pipfile.lock or requirements.txt lacks or contradicts",
		Why:    "what was added to the one and not to the other is missing in the image alone: `uv sync --locked` and `poetry check --lock` exist because that happens so often",
		Advice: "write the lock anew: uv lock, poetry lock, pipenv lock, or uv pip compile requirements.in -o requirements.txt",
		Bad:    Example{Files: map[string]string{"pyproject.toml": strings.Replace(project, `"numpy>=1.26"`, `"numpy>=1.26", "pandas"`, 1), "uv.lock": lock}, At: "uv.lock"},
		Good:   Example{Files: map[string]string{"pyproject.toml": project, "uv.lock": lock}},
		File:   staleLock,
	}, {
		ID: "TL810", Name: "two-managers", Severity: Minor,
		Looks:  "locks of several package managers in one folder",
		Why:    "each tool keeps its own lock and none looks at the other's, so laptop and image part ways: mllint has a rule for it too (dependency-management/single)",
		Advice: "keep one manager, and remove the lock of the other",
		Bad:    Example{Files: map[string]string{"poetry.lock": "", "uv.lock": ""}, At: "uv.lock"},
		Good:   Example{Files: map[string]string{"uv.lock": ""}},
		Repo:   twoManagers,
	}, {
		ID: "TL811", Name: "excluded-python", Severity: Critical,
		Looks:  "requires-python in pyproject.toml against image.python",
		Why:    "pip ends with `requires a different Python: 3.9.18 not in '>=3.10'` once the image is built; astropy, numpy and others drop a version every year (SPEC 0)",
		Advice: "choose an image.python that requires-python admits",
		Bad:    Example{Files: with(named(), "pyproject.toml", strings.Replace(project, ">=3.9", ">=3.12", 1)), At: "towline.yaml:5"},
		Good:   Example{Files: with(named(), "pyproject.toml", project)},
		Model:  excludedPython,
	}, {
		ID: "TL812", Name: "other-framework", Severity: Major,
		Looks:  "pinned frameworks against the version in the name of a framework's base image",
		Why:    "the second copy of PyTorch that a pin installs brings its own CUDA and gigabytes: openshift/lightspeed-service PR 2981 measured 6.6 GB that nobody wanted",
		Advice: "pin the version of the base, or take another base",
		Bad: Example{Files: with(exampleWith(`"docker.io/library/python:3.11-slim", python: "3.11"`,
			`"docker.io/pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime", requirements: requirements.txt`), "requirements.txt", "torch==2.3.0\n"), At: "requirements.txt:1"},
		Good: Example{Files: with(exampleWith(`"docker.io/library/python:3.11-slim", python: "3.11"`,
			`"docker.io/pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime", requirements: requirements.txt`), "requirements.txt", "torch==2.1.0\n")},
		Model: otherFramework,
	}, {
		ID: "TL813", Name: "no-wheel", Severity: Major,
		Looks:  "packages of uv.lock that have native wheels, but none for the image's platform and Python",
		Why:    "an installer without a fitting wheel builds one, for the machine it runs on: uv and pip did so silently for foreign platforms (astral-sh/uv#16019, pypa/pip#5404)",
		Advice: "choose a version that has such a wheel, or another platform or Python for the image",
		Bad:    Example{Files: with(with(named(), "pyproject.toml", project), "uv.lock", wheels+"macosx_11_0_arm64.whl\" }]\n"), At: "uv.lock:2"},
		Good:   Example{Files: with(with(named(), "pyproject.toml", project), "uv.lock", wheels+"manylinux_2_17_x86_64.whl\" }]\n")},
		Model:  noWheel,
	}}
}

func staleLock(f *File, r *Report) {
	switch path.Base(f.Path) {
	case "uv.lock":
		staleUVLock(f, r)
	case "poetry.lock":
		stalePoetryLock(f, r)
	case "Pipfile.lock":
		stalePipfileLock(f, r)
	case "requirements.txt":
		source, ok := f.Repo.File(path.Join(path.Dir(f.Path), "requirements.in"))
		if !ok {
			return
		}
		locked := map[string]declared{}
		for _, d := range requirementsIn(f) {
			locked[d.Name] = d
		}
		for _, d := range requirementsIn(source) {
			have, ok := locked[d.Name]
			switch {
			case d.Name == "":
			case !ok:
				r.Whole(f, "%s is in %s, and not here", d.Name, source.Path)
			case have.Pinned() != "" && !requirements.Admit(d.Specifiers, have.Pinned()):
				r.At(f, have.line.Number, 1, "%s is pinned to %s, and %s asks for %s", d.Name, have.Pinned(), source.Path, specifiers(d.Specifiers))
			}
		}
	}
}

// staleUVLock compares what the lock says it was made from with what the
// project says now.
func staleUVLock(f *File, r *Report) {
	source, ok := f.Repo.File(path.Join(path.Dir(f.Path), "pyproject.toml"))
	if !ok {
		return
	}
	project := readProject(source).Project
	if project.Name == "" || slices.Contains(project.Dynamic, "dependencies") {
		return
	}
	packages := readLock(f).Packages
	contradicted(f, r, source, packages)
	for _, p := range packages {
		if p.Source.Virtual != "." && p.Source.Editable != "." || requirements.Normal(p.Name) != requirements.Normal(project.Name) {
			continue
		}
		locked := map[string]bool{}
		for _, l := range p.Metadata.Requires {
			locked[requirements.Normal(l.Name)] = true
		}
		for _, text := range project.Dependencies {
			if d, err := requirements.Parse(text); err == nil && !locked[d.Name] {
				r.Whole(f, "%s is in %s, and not here", d.Name, source.Path)
			}
		}
	}
}

func specifiers(list []requirements.Specifier) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = s.String()
	}
	return strings.Join(words, ",")
}

// locksOf are the managers by the lock that each writes.
var locksOf = map[string]string{"uv.lock": "uv", "poetry.lock": "Poetry", "Pipfile.lock": "Pipenv", "pdm.lock": "PDM", "pixi.lock": "pixi", "conda-lock.yml": "conda-lock"}

func twoManagers(repo *Repo, r *Report) {
	first := map[string]*File{}
	for _, f := range repo.files {
		manager := locksOf[path.Base(f.Path)]
		if manager == "" || isTest(f.Path) {
			continue
		}
		folder := path.Dir(f.Path)
		if other := first[folder]; other != nil {
			r.Whole(f, "%s locks the dependencies, and %s does too, in %s", manager, locksOf[path.Base(other.Path)], other.Path)
			continue
		}
		first[folder] = f
	}
}

func excludedPython(m *Model, r *Report) {
	f, ok := m.modelRequirements()
	if !ok {
		return
	}
	if f, ok = m.Repo.File(path.Join(path.Dir(f.Path), "pyproject.toml")); !ok {
		return
	}
	wanted := readProject(f).Project.RequiresPython
	conditions, err := requirements.ParseSpecifiers(wanted)
	if err != nil {
		return
	}
	// The image has the newest patch of its minor version.
	if !requirements.Admit(conditions, m.Image.Python+".99") {
		r.Manifest(m.Position("image.python"), "the image has Python %s, and %s requires %s", m.Image.Python, f.Path, wanted)
	}
}

// frameworks are packages by the repository of images that carry them.
var frameworks = map[string]string{
	"pytorch": "torch", "pytorch-training": "torch", "pytorch-inference": "torch",
	"tensorflow": "tensorflow", "tensorflow-training": "tensorflow", "tensorflow-inference": "tensorflow",
	"sagemaker-xgboost": "xgboost", "sagemaker-scikit-learn": "scikit-learn",
}

func otherFramework(m *Model, r *Report) {
	reference, _, _ := strings.Cut(m.Image.Base, "@")
	repository, tag, _ := strings.Cut(reference[strings.LastIndex(reference, "/")+1:], ":")
	name := frameworks[repository]
	version, _, _ := strings.Cut(tag, "-")
	if name == "" || strings.Count(version, ".") < 1 {
		return
	}
	pin, ok := m.pinsOf()[name]
	if !ok {
		return
	}
	pinned, _, _ := strings.Cut(pin.Pinned(), "+")
	same := requirements.Specifier{Operator: "==", Version: version}
	if strings.Count(version, ".") == 1 {
		same.Version += ".*"
	}
	if equal, known := same.Admits(pinned); known && !equal {
		r.At(pin.file, pin.line.Number, 0, "%s is pinned to %s, and the base %s has %s", name, pinned, reference, version)
	}
}

func noWheel(m *Model, r *Report) {
	f, ok := m.modelRequirements()
	if !ok || f.Kind == Requirements {
		return
	}
	lock, ok := m.Repo.File(path.Join(path.Dir(f.Path), "uv.lock"))
	if !ok {
		return
	}
	lines := packageLines(lock)
	for _, p := range readLock(lock).Packages {
		names := p.wheelNames()
		if len(names) == 0 {
			continue
		}
		for _, platform := range m.Image.Platforms {
			if !slices.ContainsFunc(names, func(name string) bool { return wheelFits(name, platform, m.Image.Python) }) {
				r.At(lock, max(lines[p.Name], 1), 0, "%s %s has %s, none for %s and Python %s",
					p.Name, p.Version, counted(len(names), "wheel", "wheels"), platform, m.Image.Python)
			}
		}
	}
}

// wheelMachines are the names that wheels have for architectures.
var wheelMachines = map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "arm": "armv7l"}

// wheelFits reads a wheel's name: name-version[-build]-python-abi-platform.whl.
// A name that is none fits, for nothing is known of it.
func wheelFits(name, platform, python string) bool {
	parts := strings.Split(strings.TrimSuffix(name, ".whl"), "-")
	if len(parts) < 5 {
		return true
	}
	pythons, abis, platforms := parts[len(parts)-3], parts[len(parts)-2], parts[len(parts)-1]
	_, arch, _ := strings.Cut(platform, "/")
	arch, _, _ = strings.Cut(arch, "/")
	fits := slices.ContainsFunc(strings.Split(platforms, "."), func(tag string) bool {
		return tag == "any" || strings.Contains(tag, "linux") && strings.HasSuffix(tag, "_"+wheelMachines[arch])
	})
	minor := strings.TrimPrefix(python, "3.")
	return fits && slices.ContainsFunc(strings.Split(pythons, "."), func(tag string) bool {
		switch {
		case strings.HasPrefix(tag, "py"), tag == "cp3"+minor:
			return true
		case strings.HasPrefix(tag, "cp3") && strings.Contains(abis, "abi3"):
			return atLeast(minor, strings.TrimPrefix(tag, "cp3"))
		}
		return false
	})
}

func atLeast(minor, least string) bool {
	return len(minor) > len(least) || len(minor) == len(least) && minor >= least
}

// sortedNames are the keys of a map in order.
func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
