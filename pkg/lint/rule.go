package lint

import (
	"cmp"
	"slices"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// Severity is how bad a finding is, in the words of GitLab's Code Quality.
type Severity int

// The severities. Off switches a rule off.
const (
	Off Severity = iota
	Info
	Minor
	Major
	Critical
	Blocker
)

var severityNames = []string{"off", "info", "minor", "major", "critical", "blocker"}

// String is the severity in lower case.
func (s Severity) String() string { return severityNames[s] }

// ParseSeverity reads a severity's name.
func ParseSeverity(name string) (Severity, bool) {
	i := slices.Index(severityNames, name)
	return Severity(max(i, 0)), i >= 0
}

// Profile is how far a repository is on its way to production.
type Profile string

// The profiles. A prototype is told what would lose work or leak secrets; a
// production repository is held to everything.
const (
	Prototype  Profile = "prototype"
	Team       Profile = "team"
	Production Profile = "production"
)

// A Rule is one thing that is looked for. At least one of its hooks is set.
type Rule struct {
	ID       string               // such as TL101
	Name     string               // in kebab case, such as large-file
	Severity Severity             // in the profile team
	In       map[Profile]Severity // in other profiles, where it differs
	Looks    string               // what it looks at, in one sentence
	Why      string               // what went wrong elsewhere: an incident or a real repository, with its source
	Advice   string               // what to do about a finding
	Bad      Example              // files with a finding
	Good     Example              // files without: Bad, once the advice was followed

	Repo  func(*Repo, *Report)  // called once
	Model func(*Model, *Report) // called once for each model of the manifest
	File  func(*File, *Report)  // called once for each file, of every kind; for several files at a time

	Python func(*File, *python.File, *Report) // called once for each Python file; for several files at a time
}

// Example is a small repository that shows a rule.
type Example struct {
	Files     map[string]string // path → content
	Sizes     map[string]int64  // path → size, of files of zeros that are too large to be written out
	Untracked []string          // files that git does not track; it tracks the others
	Profile   Profile           // "" for Team
	At        string            // where the finding is: path:line, or path for a whole file
	Links     map[string]string // path → where the link leads
	Closed    []string          // files that may not be read
	Limits    Limits
	Settings  Settings
	Baseline  *Baseline
}

// Catalogue lists every rule, by ID.
func Catalogue() []Rule {
	rules := slices.Concat(
		repositoryRules(),
		pythonRules(),
		sagemakerRules(),
		crossRules(),
		linterRules(),
		manifestRules(),
		secretRules(),
		gitlabRules(),
		airflowRules(),
		dependencyRules(),
	)
	slices.SortFunc(rules, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return rules
}

// severity is how bad a finding of the rule is in a profile.
func (r *Rule) severity(p Profile) Severity {
	if severity, differs := r.In[p]; differs {
		return severity
	}
	return r.Severity
}
