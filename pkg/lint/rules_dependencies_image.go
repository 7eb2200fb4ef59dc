package lint

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/requirements"
)

// imageRules are about Dockerfiles, and about the licences of what is installed.
func imageRules() []Rule {
	return []Rule{{
		ID: "TL814", Name: "floating-from", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "FROM lines with the tag latest, or with none",
		Why:    "python:latest became Python 3.12 in October 2023, and distutils was gone from it (docker-library/python, PEP 632)",
		Advice: "name a version, such as python:3.11-slim, or a digest",
		Bad:    Example{Files: map[string]string{"Dockerfile": "FROM python\nCOPY . /opt/program\n"}, At: "Dockerfile:1"},
		Good:   Example{Files: map[string]string{"Dockerfile": "FROM python:3.11-slim AS build\nFROM build\nCOPY . /opt/program\n"}},
		File:   floatingFrom,
	}, {
		ID: "TL818", Name: "missing-dockerignore", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "Dockerfiles that copy a whole folder (COPY . or ADD .) without a .dockerignore",
		Why:    "a study of 337,171 images on Docker Hub and 8,076 private registries found private keys or API secrets in 8.5 % of them (Dahlmanns and others, Secrets Revealed in Container Images, 2023); COPY . takes .env and .git along",
		Advice: "write a .dockerignore: towline lint --fix does it",
		Bad:    Example{Files: map[string]string{"Dockerfile": "FROM python:3.11-slim\nCOPY . /opt/program\n"}, At: "Dockerfile:2"},
		Good:   Example{Files: map[string]string{"Dockerfile": "FROM python:3.11-slim\nCOPY . /opt/program\n", ".dockerignore": ".git\n.env\n"}},
		File:   missingDockerignore,
	}, {
		ID: "TL815", Name: "hidden-by-mount", Severity: Minor,
		Looks:  "Dockerfiles that copy files into the folders that SageMaker mounts: model, input, output and checkpoints below /opt/ml",
		Why:    "a job's folders lie over what the image has there: a model that is baked into /opt/ml/model is gone as soon as SageMaker brings another, as netlightin/sagemaker-whisper does (ml-model/Dockerfile); without model data it stays, as in aws/amazon-sagemaker-examples",
		Advice: "copy to /opt/program, and let models come from the training",
		Bad:    Example{Files: map[string]string{"Dockerfile": "FROM python:3.11-slim\nCOPY model /opt/ml/model\n"}, At: "Dockerfile:2"},
		Good:   Example{Files: map[string]string{"Dockerfile": "FROM python:3.11-slim\nCOPY src /opt/program\nCOPY src /opt/ml/code\n"}},
		File:   hiddenByMount,
	}, {
		ID: "TL816", Name: "shell-entrypoint", Severity: Minor,
		Looks:  "ENTRYPOINT in its shell form, in Dockerfiles",
		Why:    "the shell is process 1 then, keeps SIGTERM to itself, and takes no argument: SageMaker calls the image with train or serve and asks for the exec form (SageMaker guide, How Amazon SageMaker Runs Your Training Image)",
		Advice: `write it as a list: ENTRYPOINT ["python", "train.py"]`,
		Bad:    Example{Files: map[string]string{"Dockerfile": "FROM python:3.11-slim\nENTRYPOINT python train.py\n"}, At: "Dockerfile:2"},
		Good:   Example{Files: map[string]string{"Dockerfile": "FROM python:3.11-slim\nENTRYPOINT [\"python\", \"train.py\"]\n"}},
		File:   shellEntrypoint,
	}, {
		ID: "TL817", Name: "copyleft-dependency", Severity: Info, In: map[Profile]Severity{Prototype: Off, Production: Minor},
		Looks:  "licences of the model's dependencies, from requirements, pyproject.toml or uv.lock, as they are installed in the project's .venv: AGPL, SSPL and GPL",
		Why:    "ultralytics, which carries YOLOv8, is under the AGPL-3.0: serving it to others over a network asks for the source of the service, or for a licence that is bought (ultralytics/ultralytics, LICENSE)",
		Advice: "ask whoever answers for licences, or choose another package",
		Bad:    Example{Files: licenceExample("AGPL-3.0"), Profile: Production, At: "requirements.txt:1"},
		Good:   Example{Files: licenceExample("BSD-3-Clause"), Profile: Production},
		Model:  copyleft,
	}}
}

func licenceExample(licence string) map[string]string {
	files := exampleWith(`python: "3.11"`, `python: "3.11", requirements: requirements.txt`)
	files["requirements.txt"] = "ultralytics==8.3.0\n"
	files[".venv/lib/python3.11/site-packages/ultralytics-8.3.0.dist-info/METADATA"] = "Metadata-Version: 2.4\nName: ultralytics\nLicense-Expression: " + licence + "\n"
	return files
}

// isDockerfile knows Dockerfile, Dockerfile.gpu, gpu.Dockerfile and Containerfile.
func isDockerfile(name string) bool {
	base := path.Base(name)
	return base == "Dockerfile" || base == "Containerfile" || strings.HasPrefix(base, "Dockerfile.") && !strings.HasSuffix(base, ".dockerignore") || strings.HasSuffix(base, ".Dockerfile")
}

// instruction is one instruction of a Dockerfile.
type instruction struct {
	line       int
	name, rest string
}

// instructions reads a Dockerfile as far as rules need it: continued lines
// are joined, comments left out.
func instructions(f *File) []instruction {
	var list []instruction
	var joined strings.Builder
	first := 0
	for i, line := range f.Lines() {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "#") || trimmed == "" {
			continue
		}
		if first == 0 {
			first = i + 1
		}
		if rest, continued := strings.CutSuffix(trimmed, `\`); continued {
			joined.WriteString(rest + " ")
			continue
		}
		joined.WriteString(trimmed)
		name, rest, _ := strings.Cut(joined.String(), " ")
		list = append(list, instruction{first, strings.ToUpper(name), strings.TrimSpace(rest)})
		joined.Reset()
		first = 0
	}
	return list
}

func floatingFrom(f *File, r *Report) {
	if !isDockerfile(f.Path) {
		return
	}
	stages := map[string]bool{"scratch": true}
	for _, in := range instructions(f) {
		if in.name != "FROM" {
			continue
		}
		words := strings.Fields(in.rest)
		for len(words) > 0 && strings.HasPrefix(words[0], "--") {
			words = words[1:]
		}
		if len(words) == 0 {
			continue
		}
		if why := floating(words[0]); why != "" && !stages[strings.ToLower(words[0])] {
			r.At(f, in.line, 0, "the image %s %s", words[0], why)
		}
		if len(words) == 3 {
			stages[strings.ToLower(words[2])] = true
		}
	}
}

// dockerignore keeps out of an image what never belongs in one.
const dockerignore = ".git\n.env*\n.venv\n**/__pycache__\n**/*.pyc\n.towline\n.aws\n.ssh\n"

// missingDockerignore looks at the top of the repository and beside the
// Dockerfile, the folders that are built from as a rule.
func missingDockerignore(f *File, r *Report) {
	if !isDockerfile(f.Path) {
		return
	}
	folder := path.Dir(f.Path)
	for _, name := range []string{".dockerignore", path.Join(folder, ".dockerignore"), f.Path + ".dockerignore"} {
		if _, found := f.Repo.File(name); found {
			return
		}
	}
	for _, in := range instructions(f) {
		words := slices.DeleteFunc(strings.Fields(in.rest), func(word string) bool { return strings.HasPrefix(word, "--") })
		if in.name != "COPY" && in.name != "ADD" || len(words) < 2 || words[0] != "." && words[0] != "./" || strings.Contains(in.rest, "--from=") {
			continue
		}
		found := r.At(f, in.line, 0, "the image takes along whatever lies in the folder, .env and .git too")
		if folder == "." { // else the folder that is built from is not certain
			found.Fix = &Fix{Path: ".dockerignore", Content: func() ([]byte, error) { return []byte(dockerignore), nil }}
		}
		return
	}
}

func hiddenByMount(f *File, r *Report) {
	if !isDockerfile(f.Path) {
		return
	}
	for _, in := range instructions(f) {
		words := strings.FieldsFunc(in.rest, func(c rune) bool { return strings.ContainsRune(" \t[],\"", c) })
		if in.name != "COPY" && in.name != "ADD" || len(words) < 2 {
			continue
		}
		to := path.Clean(words[len(words)-1])
		if mounted(to) {
			r.At(f, in.line, 0, "SageMaker hides what is copied to %s", to)
		}
	}
}

// mounted says whether a folder is one that SageMaker mounts, or below it.
func mounted(folder string) bool {
	rest, ok := strings.CutPrefix(folder, "/opt/ml/")
	name, _, _ := strings.Cut(rest, "/")
	return ok && (name == "model" || name == "input" || name == "output" || name == "checkpoints")
}

func shellEntrypoint(f *File, r *Report) {
	if !isDockerfile(f.Path) {
		return
	}
	for _, in := range instructions(f) {
		if in.name == "ENTRYPOINT" && !strings.HasPrefix(in.rest, "[") {
			r.At(f, in.line, 0, "the shell takes signals and arguments in place of: %s", clip(in.rest, 0))
		}
	}
}

const (
	largestMetadata = 256 << 10
	mostMetadata    = 2000
)

func copyleft(m *Model, r *Report) {
	pins := m.pinsOf()
	list, _, _ := m.needs()
	for _, n := range list {
		if _, known := pins[n.Name]; !known {
			pins[n.Name] = declared{n.Requirement, requirements.Line{Number: n.line}, n.file}
		}
	}
	if len(pins) == 0 {
		return
	}
	files, err := fs.Glob(m.Repo.fsys, path.Join(path.Clean(m.Path), ".venv/lib/python3.*/site-packages/*.dist-info/METADATA"))
	if err != nil {
		return
	}
	licences := map[string]string{}
	for _, name := range files[:min(len(files), mostMetadata)] {
		package_, licence := readMetadata(m.Repo.fsys, name)
		licences[package_] = licence
	}
	for _, name := range sortedNames(pins) {
		if licence := licences[name]; isCopyleft(licence) {
			r.At(pins[name].file, pins[name].line.Number, 1, "%s is under %s", name, licence)
		}
	}
}

// readMetadata finds name and licence of a distribution: its SPDX expression,
// or its classifier, or the free text if that is one line.
func readMetadata(fsys fs.FS, file string) (name, licence string) {
	if info, err := fs.Lstat(fsys, file); err != nil || !info.Mode().IsRegular() || info.Size() > largestMetadata {
		return "", ""
	}
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return "", ""
	}
	header, _, _ := bytes.Cut(data, []byte("\n\n"))
	free := ""
	for line := range strings.Lines(string(header)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Name":
			name = requirements.Normal(value)
		case "License-Expression":
			return name, value
		case "License":
			free = value
		case "Classifier":
			if kind, ok := strings.CutPrefix(value, "License :: OSI Approved :: "); ok && licence == "" {
				licence = kind
			}
		}
	}
	if licence == "" {
		licence = free
	}
	return name, licence
}

// isCopyleft knows the strong ones; an alternative (OR) is the user's choice.
func isCopyleft(licence string) bool {
	if strings.Contains(licence, " OR ") || len(licence) > 200 {
		return false
	}
	lower := strings.ToLower(licence)
	if strings.Contains(lower, "lesser") || strings.Contains(lower, "lgpl") || strings.Contains(lower, "exception") {
		return false
	}
	return strings.Contains(lower, "gpl") || strings.Contains(lower, "affero") || strings.Contains(lower, "sspl") || strings.Contains(lower, "gnu general public")
}
