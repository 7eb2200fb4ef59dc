package lint

import (
	"bytes"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// housekeepingRules are about what a repository keeps beside its code.
func housekeepingRules() []Rule {
	return []Rule{{
		ID: "TL108", Name: "gaps-in-gitignore", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "whether .gitignore keeps out .env, .venv, __pycache__ and .towline",
		Why:    "what nobody ignores is added with the next `git add .`: GitGuardian counts millions of secrets a year in public commits (State of Secrets Sprawl), and .env is where they are kept",
		Advice: "add the lines to .gitignore: towline lint --fix does it",
		Bad:    Example{Files: map[string]string{"train.py": "", ".gitignore": "*.log\n"}, At: ".gitignore"},
		Good:   Example{Files: map[string]string{"train.py": "", ".gitignore": ".env\n.venv/\n__pycache__/\n.towline/\n"}},
		Repo:   gitignoreGaps,
	}, {
		ID: "TL109", Name: "generated-in-git", Severity: Minor,
		Looks:  "bytecode, environments and checkpoints of notebooks that git tracks",
		Why:    "compiled files keep what was taken out of their source: a search by Jesse Li in 2020 found thousands of repositories with secrets in .pyc files",
		Advice: "remove them with git rm -r --cached, and list them in .gitignore",
		Bad:    Example{Files: map[string]string{"pkg/__pycache__/a.cpython-311.pyc": "x"}, At: "pkg/__pycache__/a.cpython-311.pyc"},
		Good:   Example{Files: map[string]string{"pkg/a.py": "x"}},
		Repo:   generatedInGit,
	}, {
		ID: "TL110", Name: "missing-readme", Severity: Info, In: map[Profile]Severity{Prototype: Off, Production: Minor},
		Looks:  "whether there is a README at the top",
		Why:    "Mitchell and others (Model Cards, FAT* 2019) show models used for what they were never measured on, because nobody had written down what that was",
		Advice: "write README.md: what the model is for, what data it has seen, how good it is and for whom",
		Bad:    Example{Files: map[string]string{"train.py": ""}, At: "README.md"},
		Good:   Example{Files: map[string]string{"train.py": "", "README.md": "# A model\n"}},
		Repo: func(repo *Repo, r *Report) {
			if !atTop(repo, "readme") {
				r.Path("README.md", 0, 0, "there is no README")
			}
		},
	}, {
		ID: "TL111", Name: "ignored-by-image", Severity: Critical,
		Looks:  "scripts, requirements and samples of the manifest that .dockerignore or .towlineignore keeps out of the image",
		Why:    "a pattern that is too wide is noticed when the container starts: `*.txt` takes requirements.txt along, and `COPY failed: file not found in build context or excluded by .dockerignore` is Docker's own message for it",
		Advice: "take the pattern out, or bring the file back with a line that begins with !",
		Bad:    Example{Files: map[string]string{"towline.yaml": exampleManifest, "train.py": "", "serve.py": "", ".dockerignore": "data\nserve*\n"}, At: ".dockerignore:2"},
		Good:   Example{Files: map[string]string{"towline.yaml": exampleManifest, "train.py": "", "serve.py": "", ".dockerignore": "data\nserve*\n!serve.py\n"}},
		Model:  ignoredByImage,
	}}
}

// wantedInGitignore are names that no repository wants in git, and the lines that keep them out.
var wantedInGitignore = []struct{ name, line string }{
	{".env", ".env"}, {".venv", ".venv/"}, {"__pycache__", "__pycache__/"}, {".towline", ".towline/"},
}

func gitignoreGaps(repo *Repo, r *Report) {
	if repo.tracked == nil {
		return // it is no clone
	}
	var rules []ignoreRule
	file, found := repo.File(".gitignore")
	if found {
		for _, line := range file.Lines() {
			if rule, ok := parseIgnoreRule(".", line); ok {
				rules = append(rules, rule)
			}
		}
	}
	var missing []string
	for _, wanted := range wantedInGitignore {
		dir := strings.HasSuffix(wanted.line, "/")
		if wanted.name == ".towline" && repo.manifest == nil || wanted.name == "__pycache__" && !repo.hasPython() {
			continue
		}
		if !ignored(rules, wanted.name, dir) {
			missing = append(missing, wanted.line)
		}
	}
	if len(missing) == 0 {
		return
	}
	finding := r.Path(".gitignore", 0, 0, "nothing keeps %s out of git", strings.Join(missing, ", "))
	finding.Fix = &Fix{Path: ".gitignore", Content: func() ([]byte, error) {
		var text []byte
		if found {
			text = slices.Clone(file.Bytes())
		}
		if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
			text = append(text, '\n')
		}
		return append(text, strings.Join(missing, "\n")+"\n"...), nil
	}}
}

func (r *Repo) hasPython() bool {
	return slices.ContainsFunc(r.files, func(f *File) bool { return f.Kind == Python })
}

// generated are folders that tools write.
var generated = set("__pycache__", ".ipynb_checkpoints", ".venv", "venv", "node_modules", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".eggs", "site-packages")

func generatedInGit(repo *Repo, r *Report) {
	seen := map[string]bool{}
	for _, f := range repo.files {
		if !repo.Tracked(f.Path) || repo.tracked == nil {
			continue
		}
		folder := ""
		for part := range strings.SplitSeq(path.Dir(f.Path), "/") {
			if folder = path.Join(folder, part); generated[part] {
				break
			}
		}
		if !generated[path.Base(folder)] && path.Ext(f.Path) != ".pyc" || seen[folder] {
			continue
		}
		seen[folder] = true
		r.Whole(f, "git tracks %s, which a tool has written", folder)
	}
}

// atTop says whether a file at the top has a name that begins so, in any case.
func atTop(repo *Repo, start string) bool {
	return slices.ContainsFunc(repo.files, func(f *File) bool {
		return !strings.Contains(f.Path, "/") && strings.HasPrefix(strings.ToLower(f.Path), start)
	})
}

// imageIgnores are the files that packaging reads, in its order.
var imageIgnores = []string{".dockerignore", ".towlineignore"}

func ignoredByImage(m *Model, r *Report) {
	folders := []string{"."}
	if folder := path.Clean(m.Path); folder != "." {
		folders = append(folders, folder)
	}
	for key, command := range commands(m.Model) {
		if entry, ok := m.Entry(command); ok {
			if file, line, pattern := excludedBy(m.Repo, folders, entry.Path); file != nil {
				r.At(file, line, 0, "%s keeps %s out of the image, which %s needs", pattern, entry.Path, key)
			}
		}
	}
}

// excludedBy is the line that decides that a file stays out, if one does.
func excludedBy(repo *Repo, folders []string, name string) (by *File, line int, pattern string) {
	for _, folder := range folders {
		for _, base := range imageIgnores {
			f, ok := repo.File(path.Join(folder, base))
			if !ok {
				continue
			}
			rest := strings.TrimPrefix(name, folder+"/")
			for i, text := range f.Lines() {
				patterns, err := ignorefile.ReadAll(io.LimitReader(strings.NewReader(text), 4096))
				if err != nil || len(patterns) == 0 {
					continue
				}
				back := strings.HasPrefix(patterns[0], "!")
				matcher, err := patternmatcher.New([]string{strings.TrimPrefix(patterns[0], "!")})
				if err != nil {
					continue
				}
				if matched, err := matcher.MatchesOrParentMatches(rest); err != nil || !matched {
					continue
				}
				if by, line, pattern = f, i+1, patterns[0]; back {
					by = nil
				}
			}
		}
	}
	return by, line, pattern
}
