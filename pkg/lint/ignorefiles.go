package lint

import (
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/moby/patternmatcher"
)

// ignoreFiles say what a folder that is not under git does not want looked at.
// Where git's list is known it is taken instead.
var ignoreFiles = []string{".gitignore", ".towlineignore"}

const (
	largestIgnoreFile = 256 << 10
	mostIgnoreRules   = 1000 // of one file
)

// ignoreRule is one line of an ignore file, as gitignore(5) describes it.
type ignoreRule struct {
	folder  string // where the file lies
	back    bool   // the line begins with !
	dirOnly bool   // the line ends with /
	name    string // holds for a name in any folder, if not ""
	match   *patternmatcher.PatternMatcher
}

// readIgnoreRules reads an ignore file. What cannot be read ignores nothing.
func readIgnoreRules(fsys fs.FS, folder, name string) []ignoreRule {
	file := path.Join(folder, name)
	if info, err := fs.Lstat(fsys, file); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	opened, err := fsys.Open(file)
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(opened, largestIgnoreFile))
	if opened.Close() != nil || err != nil {
		return nil
	}
	var rules []ignoreRule
	for line := range strings.Lines(string(text)) {
		if rule, ok := parseIgnoreRule(folder, line); ok && len(rules) < mostIgnoreRules {
			rules = append(rules, rule)
		}
	}
	return rules
}

// parseIgnoreRule reads one line; false for comments and what is no pattern.
func parseIgnoreRule(folder, line string) (ignoreRule, bool) {
	r := ignoreRule{folder: folder}
	line = strings.TrimRight(line, "\r\n")
	if trimmed := strings.TrimRight(line, " \t"); !strings.HasSuffix(trimmed, `\`) {
		line = trimmed
	}
	if line == "" || line[0] == '#' {
		return r, false
	}
	line, r.back = strings.CutPrefix(line, "!")
	line, r.dirOnly = strings.CutSuffix(line, "/")
	if line == "" {
		return r, false
	}
	if !strings.Contains(line, "/") {
		if _, err := path.Match(line, ""); err != nil {
			return r, false
		}
		r.name = line
		return r, true
	}
	match, err := patternmatcher.New([]string{strings.TrimPrefix(line, "/")})
	r.match = match
	return r, err == nil
}

// ignored says whether a file or folder is left out: the last line that
// matches decides. What is in a folder that is left out never gets here.
func ignored(rules []ignoreRule, name string, dir bool) bool {
	for i := len(rules) - 1; i >= 0; i-- {
		if rules[i].matches(name, dir) {
			return !rules[i].back
		}
	}
	return false
}

func (r ignoreRule) matches(name string, dir bool) bool {
	if r.dirOnly && !dir {
		return false
	}
	if r.name != "" {
		matched, _ := path.Match(r.name, path.Base(name))
		return matched
	}
	if r.folder != "." {
		name = strings.TrimPrefix(name, r.folder+"/")
	}
	matched, _ := r.match.MatchesOrParentMatches(name)
	return matched
}
