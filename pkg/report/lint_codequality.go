package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"gitlab.com/towline/towline/pkg/lint"
)

// degradation is one entry of a Code Quality report, as GitLab reads it:
// https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
type degradation struct {
	Description string              `json:"description"`
	CheckName   string              `json:"check_name"`
	Fingerprint string              `json:"fingerprint"`
	Severity    string              `json:"severity"`
	Location    degradationLocation `json:"location"`
}

type degradationLocation struct {
	Path  string           `json:"path"`
	Lines degradationLines `json:"lines"`
}

type degradationLines struct {
	Begin int `json:"begin"`
}

// CodeQuality writes findings as GitLab's Code Quality report. GitLab stops at
// the first entry that it does not like and shows one of several with the same
// fingerprint, so what is written was read again and checked.
func CodeQuality(findings []lint.Finding) ([]byte, error) {
	list := []degradation{}
	for _, f := range findings {
		description := f.Message
		if f.Cell > 0 {
			description += fmt.Sprintf(" (cell %d, line %d)", f.Cell, f.CellLine)
		}
		if f.Advice != "" {
			description += ": " + f.Advice
		}
		list = append(list, degradation{
			Description: description, CheckName: f.Rule, Fingerprint: f.Fingerprint, Severity: f.Severity.String(),
			Location: degradationLocation{f.Path, degradationLines{max(f.Line, 1)}},
		})
	}
	text, err := indented(list)
	if err == nil {
		err = CheckCodeQuality(text)
	}
	return text, err
}

// CheckCodeQuality holds a report against what GitLab's parser wants of it.
func CheckCodeQuality(text []byte) error {
	if len(text) == 0 || text[0] != '[' {
		return errors.New("a Code Quality report is a list and begins with [")
	}
	var list []degradation
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, d := range list {
		if wrong := d.wrong(); wrong != "" {
			return fmt.Errorf("entry %d has %s", i, wrong)
		}
		if seen[d.Fingerprint] {
			return fmt.Errorf("entry %d has the fingerprint of another one, %s", i, d.Fingerprint)
		}
		seen[d.Fingerprint] = true
	}
	return nil
}

// wrong says what GitLab would not take of an entry, or "".
func (d degradation) wrong() string {
	severity, known := lint.ParseSeverity(d.Severity)
	file := d.Location.Path
	switch {
	case d.Description == "" || d.CheckName == "" || d.Fingerprint == "":
		return "no description, check name or fingerprint"
	case !known || severity == lint.Off:
		return fmt.Sprintf("the severity %q", d.Severity)
	case file == "" || path.IsAbs(file) || strings.HasPrefix(file, "./") || strings.HasPrefix(file, "../"):
		return fmt.Sprintf("the path %q, wanted one from the top of the repository", file)
	case d.Location.Lines.Begin < 1:
		return fmt.Sprintf("line %d as its beginning", d.Location.Lines.Begin)
	}
	return ""
}
