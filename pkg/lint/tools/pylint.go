package tools

import (
	"encoding/json"
	"errors"

	"gitlab.com/towline/towline/pkg/lint"
)

// pylint is run once over all files, as it infers across them. Its exit code
// is a sum: 1 a fatal message, 2 an error, 4 a warning, 8 refactor, 16
// convention, and 32 that its command line or settings are wrong (pylint,
// constants.py, MSG_TYPES_STATUS).
func pylint() Tool {
	return Tool{
		Name: "pylint",
		args: func(output string) []string {
			return []string{"--output-format=json2:" + output, "--reports=n", "--score=n", "--recursive=y"}
		},
		parse: parsePylint,
		sound: func(code, findings int) bool { return code == 0 || code < pylintUsage && findings > 0 },
		hint: func(code int) string {
			if code == pylintUsage {
				return "pylint 3 or newer is needed; check its settings with: pylint --generate-toml-config"
			}
			return "pylint 3 or newer is needed; run it by itself to see more, or set lint.tools.pylint to off in towline.yaml"
		},
	}
}

const pylintUsage = 32

// pylintReport is pylint's format json2.
type pylintReport struct {
	Messages []struct {
		Type      string `json:"type"`
		Symbol    string `json:"symbol"`
		MessageID string `json:"messageId"`
		Message   string `json:"message"`
		Line      int    `json:"line"`
		Column    int    `json:"column"`
		EndLine   *int   `json:"endLine"`
		Path      string `json:"path"`
		Absolute  string `json:"absolutePath"`
	} `json:"messages"`
	Statistics *struct{} `json:"statistics"`
}

func parsePylint(data []byte, root string) ([]lint.Finding, error) {
	var report pylintReport
	if err := json.Unmarshal(data, &report); err != nil {
		return nil, err
	}
	if report.Statistics == nil {
		return nil, errors.New("it is not of the format json2")
	}
	var findings []lint.Finding
	for _, m := range report.Messages {
		file := m.Path
		if m.Absolute != "" {
			file = m.Absolute
		}
		f := lint.Finding{
			Tool: "pylint", Rule: "pylint:" + m.Symbol, Code: m.MessageID, Name: m.Symbol, Severity: pylintSeverity(m.Type, m.Symbol),
			Path: relative(root, file), Line: m.Line, Column: m.Column + 1, Message: lint.Plain(m.Message),
		}
		if m.EndLine != nil && *m.EndLine > m.Line {
			f.EndLine = *m.EndLine
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// pylintSeverity is how bad a type of messages is.
func pylintSeverity(kind, symbol string) lint.Severity {
	switch {
	case kind == "fatal":
		return lint.Blocker
	case symbol == "syntax-error":
		return lint.Critical
	case symbol == "import-error":
		return lint.Info // what is missing is missing beside pylint: TL507 compares imports and requirements
	case kind == "error":
		return lint.Major
	case kind == "warning":
		return lint.Minor
	}
	return lint.Info
}
