package tools

import (
	"encoding/json"
	"errors"
	"strings"

	"gitlab.com/towline/towline/pkg/lint"
)

// ruff ends with 0 if it found nothing, 1 if it found something, and 2 if it
// or its settings broke down (docs.astral.sh/ruff/linter, Exit codes).
func ruff() Tool {
	return Tool{
		Name: "ruff",
		args: func(output string) []string {
			return []string{"check", "--output-format=json", "--output-file=" + output, "--force-exclude", "--no-cache", "--no-fix", "--quiet"}
		},
		parse: parseRuff,
		sound: func(code, findings int) bool { return code == 0 || code == 1 && findings > 0 },
		hint: func(code int) string {
			if code == ruffUsage {
				return "ruff 0.1 or newer is needed; check its settings with: ruff check --show-settings"
			}
			return "run ruff check by itself to see more, or set lint.tools.ruff to off in towline.yaml"
		},
	}
}

const ruffUsage = 2

type ruffFinding struct {
	Code     *string `json:"code"`
	Name     string  `json:"name"`
	Message  string  `json:"message"`
	Filename string  `json:"filename"`
	Start    ruffPos `json:"location"`
	End      ruffPos `json:"end_location"`
	URL      string  `json:"url"`
	Fix      *struct {
		Message string `json:"message"`
	} `json:"fix"`
}

type ruffPos struct {
	Row    int `json:"row"`
	Column int `json:"column"`
}

// syntaxError is how ruff calls what is no Python, in its versions.
const syntaxError = "invalid-syntax"

func parseRuff(data []byte, root string) ([]lint.Finding, error) {
	if strings.TrimSpace(string(data)) == "null" {
		return nil, errors.New("it is not a list")
	}
	var list []ruffFinding
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	var findings []lint.Finding
	for _, r := range list {
		code := syntaxError
		if r.Code != nil && *r.Code != "E999" {
			code = *r.Code
		}
		f := lint.Finding{
			Tool: "ruff", Rule: "ruff:" + code, Code: code, Name: ruffName(r, code), Severity: ruffSeverity(code),
			Path: relative(root, r.Filename), Line: r.Start.Row, Column: r.Start.Column, Message: lint.Plain(r.Message),
		}
		if r.Fix != nil && r.Fix.Message != "" {
			f.Advice = lint.Plain(r.Fix.Message) + " (ruff check --fix)"
		}
		if r.End.Row > r.Start.Row {
			f.EndLine = r.End.Row
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// ruffName is the rule's name, which its page is called by.
func ruffName(r ruffFinding, code string) string {
	if at := strings.LastIndexByte(r.URL, '/'); at >= 0 && at+1 < len(r.URL) {
		return r.URL[at+1:]
	}
	if r.Name != "" {
		return r.Name
	}
	return code
}

// ruffSeverity is how bad a rule is: what cannot run, what may break at run
// time, what is suspicious, and the rest.
func ruffSeverity(code string) lint.Severity {
	switch {
	case code == syntaxError:
		return lint.Critical
	case strings.HasPrefix(code, "F82"), strings.HasPrefix(code, "F7"), strings.HasPrefix(code, "F63"), strings.HasPrefix(code, "E9"),
		strings.HasPrefix(code, "PLE"):
		return lint.Major
	case strings.HasPrefix(code, "F"), strings.HasPrefix(code, "B"), strings.HasPrefix(code, "S"), strings.HasPrefix(code, "PLW"):
		return lint.Minor
	}
	return lint.Info
}
