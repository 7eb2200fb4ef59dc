package lint

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/manifest"
)

// Settings is what a repository asks for, over the profile.
type Settings struct {
	Severity map[string]Severity // by rule: TL101, pylint:unused-import, ruff:F401, or pylint and ruff for all of one tool
	Exclude  []string            // patterns, as in .gitignore, of files without findings
	Paths    map[string][]string // the same for one rule
}

// SettingsOf reads the manifest's section lint.
func SettingsOf(l manifest.Lint) Settings {
	s := Settings{Severity: map[string]Severity{}, Exclude: l.Exclude, Paths: map[string][]string{}}
	for name, rule := range l.Rules {
		if severity, ok := ParseSeverity(rule.Severity); ok {
			s.Severity[name] = severity
		}
		if len(rule.Exclude) > 0 {
			s.Paths[name] = rule.Exclude
		}
	}
	return s
}

// severityOf is what the settings say of a finding.
func (s Settings) severityOf(f *Finding) (Severity, bool) {
	if severity, set := s.Severity[f.Rule]; set {
		return severity, true
	}
	severity, set := s.Severity[f.Tool]
	return severity, set
}

// checkSettings reports settings for rules that there are not.
func (s *scan) checkSettings(repo *Repo) {
	set := s.options.Settings
	for _, name := range slices.Sorted(maps.Keys(set.Severity)) {
		if strings.HasPrefix(name, "TL") && !s.knows(name) {
			at := repo.Position(fmt.Sprintf("lint.rules.%s", name))
			s.own.linter(ruleUnknown, manifest.File, at.Line, "there is no rule %s", name)
		}
	}
}

// knows says whether there is such a rule; a run of a few rules knows the others too.
func (s *scan) knows(id string) bool {
	_, known := s.levels[id]
	return known || slices.ContainsFunc(Catalogue(), func(r Rule) bool { return r.ID == id })
}

// excluder says where nothing is to be found.
type excluder struct {
	always []ignoreRule
	rules  map[string][]ignoreRule
}

func newExcluder(s Settings) excluder {
	e := excluder{always: patterns(s.Exclude), rules: map[string][]ignoreRule{}}
	for rule, list := range s.Paths {
		e.rules[rule] = patterns(list)
	}
	return e
}

func patterns(lines []string) []ignoreRule {
	var rules []ignoreRule
	for _, line := range lines {
		if rule, ok := parseIgnoreRule(".", line); ok {
			rules = append(rules, rule)
		}
	}
	return rules
}

// all says whether a file is excluded from every rule.
func (e excluder) all(name string) bool { return covered(e.always, name) }

// finding says whether a finding is excluded.
func (e excluder) finding(f *Finding) bool {
	return e.all(f.Path) || covered(e.rules[f.Rule], f.Path) || covered(e.rules[f.Tool], f.Path)
}

// covered says whether patterns hold for a file or for a folder above it.
func covered(rules []ignoreRule, name string) bool {
	if len(rules) == 0 {
		return false
	}
	if ignored(rules, name, false) {
		return true
	}
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		if ignored(rules, folder, true) {
			return true
		}
	}
	return false
}
