package bundle

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"gitlab.com/towline/towline/pkg/fault"
)

// ignoreFiles are read in this order, at the repository's root and then in the
// model's folder. The last pattern that matches a file decides.
var ignoreFiles = []string{".dockerignore", ".towlineignore"}

// defaultPatterns keep out what a model does not need to run, so that a change
// of it changes neither identity nor digest. An ignore file may take any of
// them back in with a `!` line.
var defaultPatterns = anywhere(
	// version control and the tools around it
	".gitignore", ".gitattributes", ".gitmodules", ".gitlab-ci.yml", ".gitlab", ".github",
	".dockerignore", ".towlineignore", ".editorconfig", ".pre-commit-config.yaml", ".idea", ".vscode",
	"towline.yaml", "towline.schema.json", "Makefile", "Dockerfile",
	// words for people
	"*.md", "LICENSE*",
	// tests and notebooks
	"tests", "test", "test_*.py", "*_test.py", "conftest.py", "*.ipynb", ".ipynb_checkpoints",
	// what tools leave behind
	".cache", ".venv", "venv", "__pycache__", "*.pyc", ".pytest_cache", ".mypy_cache", ".ruff_cache",
	"node_modules", "*.log", ".DS_Store", "*.swp",
	// secrets
	".env*", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".ssh", ".aws", ".netrc", ".pypirc", ".pgpass",
	".git-credentials",
)

// neverPacked are folders that no pattern brings back.
var neverPacked = map[string]bool{".git": true, ".towline": true}

func anywhere(names ...string) []string {
	patterns := make([]string, len(names))
	for i, name := range names {
		patterns[i] = "**/" + name
	}
	return patterns
}

// ignorer decides which paths of the repository stay out.
type ignorer struct {
	match *patternmatcher.PatternMatcher
	back  []string // literal beginnings of the `!` patterns
}

// newIgnorer reads the ignore files of the tree.
func newIgnorer(t Tree) (*ignorer, error) {
	patterns := defaultPatterns[:len(defaultPatterns):len(defaultPatterns)]
	folders := []string{"."}
	if t.Path != "." {
		folders = append(folders, t.Path)
	}
	for _, folder := range folders {
		for _, name := range ignoreFiles {
			more, err := readIgnoreFile(t.Root, path.Join(folder, name))
			if err != nil {
				return nil, err
			}
			patterns = append(patterns, below(folder, more)...)
		}
	}
	match, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fault.Newf(fault.Repository, "read the ignore files: %w", err).
			Hintf("correct the pattern in .dockerignore or .towlineignore")
	}
	return &ignorer{match: match, back: literals(patterns)}, nil
}

func readIgnoreFile(root, name string) ([]string, error) {
	file, err := os.Open(filepath.Join(root, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, diskFault("read "+name, err)
	}
	defer func() { _ = file.Close() }()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		return nil, fault.Newf(fault.Repository, "read %s: %w", name, err)
	}
	return patterns, nil
}

// below makes patterns that are written for a folder speak of the repository.
func below(folder string, patterns []string) []string {
	if folder == "." {
		return patterns
	}
	moved := make([]string, len(patterns))
	for i, pattern := range patterns {
		rest, back := strings.CutPrefix(pattern, "!")
		moved[i] = folder + "/" + rest
		if back {
			moved[i] = "!" + moved[i]
		}
	}
	return moved
}

// literals are the parts before the first wildcard of the `!` patterns.
func literals(patterns []string) []string {
	var list []string
	for _, pattern := range patterns {
		if rest, back := strings.CutPrefix(pattern, "!"); back {
			if wild := strings.IndexAny(rest, `*?[\`); wild >= 0 {
				rest = rest[:wild]
			}
			list = append(list, rest)
		}
	}
	return list
}

// ignored says whether a file or folder stays out, given how its folder was judged.
func (g *ignorer) ignored(name string, parent patternmatcher.MatchInfo) (bool, patternmatcher.MatchInfo, error) {
	return g.match.MatchesUsingParentResults(name, parent)
}

// mayHold says whether a `!` pattern could bring back something below an ignored folder.
func (g *ignorer) mayHold(folder string) bool {
	folder += "/"
	for _, literal := range g.back {
		if strings.HasPrefix(literal, folder) || strings.HasPrefix(folder, literal) {
			return true
		}
	}
	return false
}
