package report

import (
	"bytes"
	"encoding/json"
	"fmt"

	"gitlab.com/towline/towline/pkg/lint"
)

// Lint is what the linter found, as it is told in every format.
type Lint struct {
	lint.Result
	FailOn lint.Severity
	Tools  []Tool // linters beside Towline's own rules
}

// Tool is one of the linters whose findings are merged in.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	State   string `json:"state"`         // ran, absent, off or failed
	Why     string `json:"why,omitempty"` // it is absent or failed
}

// LintFormats lists the formats of EncodeLint.
func LintFormats() []string { return []string{"text", "json", "codequality", "sarif", "junit"} }

// EncodeLint writes the findings in one of the formats, text without colours.
func EncodeLint(format string, l Lint, catalogue []lint.Rule, version string) ([]byte, error) {
	switch format {
	case "text":
		return LintText(l, LintStyle{}), nil
	case "json":
		return lintJSON(l)
	case "codequality":
		return CodeQuality(l.Findings)
	case "sarif":
		return sarif(l, catalogue, version)
	case "junit":
		return lintJUnit(l), nil
	}
	return nil, fmt.Errorf("there is no format %s", format)
}

// Failing counts the findings that are an error.
func (l Lint) Failing() int {
	n := 0
	for _, f := range l.Findings {
		if f.Severity >= l.FailOn {
			n++
		}
	}
	return n
}

// counts are the findings of each severity, the worst first.
func (l Lint) counts() (counts [lint.Blocker + 1]int) {
	for _, f := range l.Findings {
		counts[f.Severity]++
	}
	return counts
}

// severities are all of them, the worst first.
func severities() []lint.Severity {
	return []lint.Severity{lint.Blocker, lint.Critical, lint.Major, lint.Minor, lint.Info}
}

type lintDocument struct {
	Profile  lint.Profile   `json:"profile"`
	Why      string         `json:"why,omitempty"`
	FailOn   string         `json:"fail_on"`
	Files    int            `json:"files"`
	Ignored  int            `json:"ignored"`
	Known    int            `json:"known"`
	Counts   map[string]int `json:"counts"`
	Tools    []Tool         `json:"tools"`
	Findings []lintFinding  `json:"findings"`
}

type lintFinding struct {
	Tool        string `json:"tool"`
	Rule        string `json:"rule"`
	Name        string `json:"name"`
	Severity    string `json:"severity"`
	Path        string `json:"path"`
	Line        int    `json:"line,omitempty"`
	Column      int    `json:"column,omitempty"`
	EndLine     int    `json:"end_line,omitempty"`
	Cell        int    `json:"cell,omitempty"`
	CellLine    int    `json:"cell_line,omitempty"`
	Message     string `json:"message"`
	Advice      string `json:"advice,omitempty"`
	Source      string `json:"source,omitempty"`
	Fingerprint string `json:"fingerprint"`
	Fixable     bool   `json:"fixable"`
}

func lintJSON(l Lint) ([]byte, error) {
	d := lintDocument{
		Profile: l.Profile, Why: l.Why, FailOn: l.FailOn.String(), Files: l.Files, Ignored: l.Ignored, Known: l.Known,
		Counts: map[string]int{}, Tools: append([]Tool{}, l.Tools...), Findings: []lintFinding{},
	}
	for _, s := range severities() {
		d.Counts[s.String()] = l.counts()[s]
	}
	for _, f := range l.Findings {
		d.Findings = append(d.Findings, lintFinding{
			Tool: f.Tool, Rule: f.Rule, Name: f.Name, Severity: f.Severity.String(), Path: f.Path,
			Line: f.Line, Column: f.Column, EndLine: f.EndLine, Cell: f.Cell, CellLine: f.CellLine,
			Message: f.Message, Advice: f.Advice, Source: f.Source, Fingerprint: f.Fingerprint, Fixable: f.Fix != nil,
		})
	}
	return indented(d)
}

// indented is a value as JSON for people and programs.
func indented(v any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(v)
	return text.Bytes(), err
}
