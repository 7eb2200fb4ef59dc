package lint

import (
	"cmp"
	"fmt"

	"gitlab.com/towline/towline/pkg/manifest"
)

// Finding is one thing wrong.
type Finding struct {
	Tool     string // towline, pylint or ruff
	Rule     string // such as TL101; of other tools by their own name, such as ruff:F401
	Name     string // the rule's name, such as large-file
	Severity Severity
	Path     string // slash-separated, from the top of the repository
	Line     int    // from 1; 0 if the file as a whole is meant
	Column   int    // from 1, in bytes; 0 if the whole line is meant
	EndLine  int    // the last line; 0 if there is but one
	Message  string // what is wrong here
	Advice   string // what to do
	Source   string // the line, shortened where it is long
	Fix      *Fix   // nil unless it is certain what to write
}

// Fix is what a file should hold instead, or a file that should be there.
type Fix struct {
	Path    string
	Content func() ([]byte, error) // the whole file
}

// Report takes the findings of one rule at a time.
type Report struct {
	profile  Profile
	rule     *Rule
	findings []*Finding
}

// At reports a finding at a line and a column of a file, both from 1. A column
// of 0 means the whole line.
func (r *Report) At(f *File, line, column int, format string, args ...any) *Finding {
	return r.Path(f.Path, line, column, format, args...)
}

// Whole reports a finding about a file as a whole.
func (r *Report) Whole(f *File, format string, args ...any) *Finding {
	return r.Path(f.Path, 0, 0, format, args...)
}

// Manifest reports a finding at a place of the manifest; see Model.Position
// and Repo.Position.
func (r *Report) Manifest(at manifest.Position, format string, args ...any) *Finding {
	return r.Path(manifest.File, at.Line, at.Column, format, args...)
}

// Path reports a finding at a path that need not exist, such as that of a
// missing file.
func (r *Report) Path(path string, line, column int, format string, args ...any) *Finding {
	f := &Finding{
		Tool: "towline", Rule: r.rule.ID, Name: r.rule.Name, Severity: r.rule.severity(r.profile),
		Path: path, Line: line, Column: column,
		Message: fmt.Sprintf(format, args...), Advice: r.rule.Advice,
	}
	r.findings = append(r.findings, f)
	return f
}

// run calls a hook of a rule.
func (r *Report) run(rule *Rule, _ string, hook func()) {
	r.rule = rule
	hook()
}

// compare orders findings by path, line, column and rule.
func (f Finding) compare(other Finding) int {
	return cmp.Or(
		cmp.Compare(f.Path, other.Path), cmp.Compare(f.Line, other.Line), cmp.Compare(f.Column, other.Column),
		cmp.Compare(f.Rule, other.Rule), cmp.Compare(f.Message, other.Message),
	)
}
