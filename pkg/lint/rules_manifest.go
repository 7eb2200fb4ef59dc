package lint

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/manifest"
)

// manifestRules are about towline.yaml and what it names: family 2.
func manifestRules() []Rule {
	return slices.Concat(manifestFileRules(), manifestImageRules(), manifestJobRules(), manifestGateRules())
}

func manifestFileRules() []Rule {
	return []Rule{{
		ID: "TL201", Name: "invalid-manifest", Severity: Blocker,
		Looks:  "towline.yaml: unknown keys, wrong types, names that no service takes",
		Why:    "a misspelt key that is ignored trains with the default: Kubernetes pruned unknown fields silently for years until server-side field validation came with 1.25 (KEP-2885)",
		Advice: "mend the line; docs/reference/manifest.md describes every key",
		Bad:    Example{Files: map[string]string{manifest.File: strings.Replace(exampleManifest, "command: [python, train.py]", "command: [python, train.py]\n      instnace: ml.m5.large", 1)}, At: "towline.yaml:8"},
		Good:   Example{Files: map[string]string{manifest.File: exampleManifest}},
		Repo:   invalidManifest,
	}, {
		ID: "TL202", Name: "missing-manifest", Severity: Minor, In: map[Profile]Severity{Prototype: Info, Production: Major},
		Looks:  "whether there is a towline.yaml at the top",
		Why:    "without one nothing says what is trained and served: the rules on structure and deployment of bvobart/mllint were planned and never came",
		Advice: "write one with: towline init --bare",
		Bad:    Example{Files: map[string]string{"train.py": "print(1)\n"}, At: "towline.yaml"},
		Good:   Example{Files: map[string]string{manifest.File: exampleManifest}},
		Repo: func(repo *Repo, r *Report) {
			if _, ok := repo.File(manifest.File); !ok {
				r.Path(manifest.File, 0, 0, "there is no towline.yaml, so nothing is known of models, training and serving")
			}
		},
	}, {
		ID: "TL203", Name: "missing-file", Severity: Critical,
		Looks:  "files and folders that the manifest names: model, shared folders, scripts, requirements, sample",
		Why:    "an entry that is not in the image ends the job after minutes of start-up, as `exec: \"serve\": executable file not found` (aws/amazon-sagemaker-examples#628)",
		Advice: "add the file to git, or correct its name in towline.yaml",
		Bad:    Example{Files: map[string]string{manifest.File: exampleManifest, "serve.py": ""}, At: "towline.yaml:7"},
		Good:   Example{Files: map[string]string{manifest.File: exampleManifest, "train.py": "", "serve.py": ""}},
		Model:  missingFiles,
	}, {
		ID: "TL204", Name: "channel-not-in-git", Severity: Minor, In: map[Profile]Severity{Prototype: Off, Production: Major},
		Looks:  "channels that are folders of the repository, and whether git has files in them",
		Why:    "a clone holds what git tracks: a data folder in .gitignore, as Cookiecutter Data Science sets it up, is there on the laptop and empty in every job",
		Advice: "put the data into S3 and give the channel its s3:// address, or track the folder",
		Bad:    Example{Files: map[string]string{manifest.File: exampleManifest, "train.py": "", "serve.py": ""}, At: "towline.yaml:8"},
		Good:   Example{Files: map[string]string{manifest.File: exampleManifest, "train.py": "", "serve.py": "", "data/train/a.csv": "1\n"}},
		Model:  channelsNotInGit,
	}}
}

// exampleManifest is what the examples of the rules begin with.
const exampleManifest = `apiVersion: towline/v1
project: shop
models:
  - name: price
    image: {base: "docker.io/library/python:3.11-slim", python: "3.11"}
    train:
      command: [python, train.py]
      channels: {train: data/train}
    evaluate:
      gate:
        - {metric: rmse, better: lower, at_most: 2}
    serve:
      command: [python, serve.py]
`

// exampleWith is that manifest with one text for another.
func exampleWith(old, text string) map[string]string {
	return map[string]string{manifest.File: strings.Replace(exampleManifest, old, text, 1)}
}

func invalidManifest(repo *Repo, r *Report) {
	for _, problem := range repo.ManifestProblems() {
		r.Manifest(problem.Position, "%s", problem.Message)
	}
}

func missingFiles(m *Model, r *Report) {
	for _, named := range manifest.Files(m.Model) {
		if strings.HasPrefix(named.Key, "train.channels.") {
			continue
		}
		if message := m.Repo.missing(named); message != "" {
			r.Manifest(m.Position(named.Key), "%s: %s", named.Key, message)
		}
	}
	for key, command := range commands(m.Model) {
		if module := moduleOf(command); module != "" && m.Repo.Folder(strings.Split(module, ".")[0]) {
			if _, found := m.Entry(command); !found {
				r.Manifest(m.Position(key), "%s: no module %s in the model's folder", key, module)
			}
		}
	}
}

// commands are what the model runs, by key, in a fixed order.
func commands(m manifest.Model) func(func(string, []string) bool) {
	return func(yield func(string, []string) bool) {
		if !yield("train.command", m.Train.Command) {
			return
		}
		if m.Evaluate != nil && len(m.Evaluate.Command) > 0 && !yield("evaluate.command", m.Evaluate.Command) {
			return
		}
		if m.Serve != nil {
			yield("serve.command", m.Serve.Command)
		}
	}
}

// moduleOf is the module of `python -m module`, or "".
func moduleOf(command []string) string {
	for i, word := range command {
		if word == "-m" && i+1 < len(command) && strings.HasPrefix(command[0], "python") {
			return command[i+1]
		}
	}
	return ""
}

// missing says what is wrong with a file or folder that the manifest names, or "".
func (r *Repo) missing(named manifest.Named) string {
	_, file := r.File(named.Path)
	folder := r.Folder(named.Path)
	switch {
	case named.Dir && folder, !named.Dir && file && r.Tracked(named.Path):
		return ""
	case named.Dir && file:
		return named.Path + " is a file, not a folder"
	case !named.Dir && folder:
		return named.Path + " is a folder, not a file"
	case file:
		return named.Path + " is not tracked by git, so no job will have it"
	case named.Dir:
		return "there is no file in the folder " + named.Path
	}
	return "there is no file " + named.Path
}

func channelsNotInGit(m *Model, r *Report) {
	for _, name := range slices.Sorted(maps.Keys(m.Train.Channels)) {
		source := m.Train.Channels[name]
		if !manifest.IsFolder(source) {
			continue
		}
		named := manifest.Named{Path: path.Join(m.Path, source), Dir: true}
		key := fmt.Sprintf("train.channels.%s", name)
		if message := m.Repo.missing(named); message != "" {
			r.Manifest(m.Position(key), "%s: %s", key, message)
			continue
		}
		if !slices.ContainsFunc(m.Repo.below(named.Path), func(f *File) bool { return m.Repo.Tracked(f.Path) }) {
			r.Manifest(m.Position(key), "%s: git tracks nothing in %s, so no job will have it", key, named.Path)
		}
	}
}
