package lint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime/debug"
	"strings"

	"gitlab.com/towline/towline/pkg/manifest"
)

// Finding is one thing wrong.
type Finding struct {
	Tool        string // towline, pylint or ruff
	Rule        string // such as TL101; of other tools by their own name, such as ruff:F401
	Name        string // the rule's name, such as large-file
	Code        string // the number of another tool's rule, such as W0611
	Severity    Severity
	Path        string // slash-separated, from the top of the repository
	Line        int    // from 1; 0 if the file as a whole is meant
	Column      int    // from 1, in bytes; 0 if the whole line is meant
	EndLine     int    // the last line; 0 if there is but one
	Cell        int    // of a notebook, from 1; 0 elsewhere
	CellLine    int    // the line in that cell, from 1
	Message     string // what is wrong here
	Advice      string // what to do
	Source      string // the line, shortened where it is long
	Fingerprint string // what the finding is known by while lines move; set by Run
	Fix         *Fix   // nil unless it is certain what to write

	hidden bool // the line holds a secret, and is never repeated
}

// Place is where the finding is, as people read it: train.py:12:5,
// train.ipynb:cell_3:12 or data/train.csv.
func (f Finding) Place() string {
	switch {
	case f.Line == 0:
		return f.Path
	case f.Cell > 0:
		return fmt.Sprintf("%s:cell_%d:%d", f.Path, f.Cell, f.CellLine)
	case f.Column == 0:
		return fmt.Sprintf("%s:%d", f.Path, f.Line)
	}
	return fmt.Sprintf("%s:%d:%d", f.Path, f.Line, f.Column)
}

// Fix is what a file should hold instead, or a file that should be there.
type Fix struct {
	Path    string
	Content func() ([]byte, error) // the whole file
}

// Report takes the findings of one rule at a time. It is not for several
// goroutines.
type Report struct {
	levels   map[string]Severity
	rules    []Rule
	rule     *Rule
	places   []place // of the lines of a notebook's code
	file     *File   // whose code that is
	findings []*Finding
	broken   []string
}

// At reports a finding at a line and a column of a file, both from 1. A column
// of 0 means the whole line.
func (r *Report) At(f *File, line, column int, format string, args ...any) *Finding {
	at := place{}
	if f == r.file && line >= 1 && line <= len(r.places) {
		at = r.places[line-1]
		line = at.file
	}
	finding := r.Path(f.Path, line, column, format, args...)
	finding.Cell, finding.CellLine = at.cell, at.line
	return finding
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
		Tool: Own, Rule: r.rule.ID, Name: r.rule.Name, Severity: r.levels[r.rule.ID],
		Path: path, Line: line, Column: column,
		Message: Plain(fmt.Sprintf(format, args...)), Advice: r.rule.Advice,
	}
	r.findings = append(r.findings, f)
	return f
}

// run calls a hook of a rule. One that breaks down takes nothing else with it.
func (r *Report) run(rule *Rule, on string, hook func()) {
	r.rule = rule
	before := len(r.findings)
	defer func() {
		if panicked := recover(); panicked != nil {
			r.broken = append(r.broken, fmt.Sprintf("%s %s on %s: %v\n%s", rule.ID, rule.Name, on, panicked, origin(debug.Stack())))
		}
		r.bound(before)
	}()
	hook()
}

// notebook runs a rule for Python over the code of a notebook. What is wrong
// there breaks no training and no server: it is minor at the most.
func (r *Report) notebook(rule *Rule, f *File) {
	code := f.Python()
	if code.Text == "" {
		return
	}
	before := len(r.findings)
	r.file, r.places = f, f.load().places
	r.run(rule, f.Path, func() { rule.Python(f, code, r) })
	r.file, r.places = nil, nil
	for _, found := range r.findings[before:] {
		found.Severity = min(found.Severity, Minor)
	}
}

// bound keeps the first findings of a rule in a file that has too many.
func (r *Report) bound(before int) {
	if more := len(r.findings) - before - mostFindings; more > 0 {
		r.findings = r.findings[:before+mostFindings]
		last := r.findings[len(r.findings)-1]
		last.Message += fmt.Sprintf(" (and %d more)", more)
	}
}

// origin is the line of a stack that broke down.
func origin(stack []byte) string {
	_, after, _ := strings.Cut(string(stack), "panic(")
	for line := range strings.Lines(after) {
		if strings.Contains(line, "/pkg/lint/") && strings.HasPrefix(line, "\t") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// linter reports what the linter itself has to say, if that rule is asked for.
func (r *Report) linter(id, path string, line int, format string, args ...any) {
	for i := range r.rules {
		if r.rules[i].ID == id {
			r.rule = &r.rules[i]
			r.Path(path, line, 0, format, args...)
		}
	}
}

// unread reports a file that rules would have read and could not.
func (r *Report) unread(f *File) {
	if most := f.most(); f.Size > most && (f.Kind != Other && f.Kind != JSON || locksOf[path.Base(f.Path)] != "") {
		r.linter(ruleLarge, f.Path, 0, "the file has %s and is not looked into, as it is larger than %s", bytesText(f.Size), bytesText(most))
		return
	}
	f.mu.Lock()
	held := f.held
	f.mu.Unlock()
	switch {
	case held == nil || errors.Is(held.err, errLarge) || errors.Is(held.err, fs.ErrNotExist):
	case held.err != nil:
		r.linter(ruleUnreadable, f.Path, 0, "the file cannot be read: %s", reason(held.err))
	case f.Kind == Notebook:
		if _, err := held.notebook(); err != nil {
			r.linter(ruleNotNotebook, f.Path, 0, "the notebook cannot be read: %v", err)
		}
	}
}

// Plain makes a message fit for one line of a report: no control characters,
// no broken UTF-8, and not too long.
func Plain(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == 0x2028 || c == 0x2029 {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "�"))
	if len(text) > longestMessage {
		text = strings.ToValidUTF8(text[:longestMessage], "") + "…"
	}
	return text
}

// compare orders findings by path, line, column and rule.
func (f Finding) compare(other Finding) int {
	return cmp.Or(
		cmp.Compare(f.Path, other.Path), cmp.Compare(f.Line, other.Line), cmp.Compare(f.Column, other.Column),
		cmp.Compare(f.Rule, other.Rule), cmp.Compare(f.Message, other.Message),
	)
}
