package lint_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/lint"
)

// said is a finding of another tool in train.py.
func said(tool, code, name string, line int, severity lint.Severity) lint.Finding {
	rule := tool + ":" + code
	if tool == "pylint" {
		rule = tool + ":" + name
	}
	return lint.Finding{Tool: tool, Rule: rule, Code: code, Name: name, Severity: severity, Path: "train.py", Line: line, Column: 1, Message: "said " + rule}
}

func TestOneDefectIsToldOnce(t *testing.T) {
	for _, tt := range []struct {
		name, rules, text string
		others            []lint.Finding
		want              []string
	}{
		{"a wildcard by three tools", "TL308", "from numpy import *\n", []lint.Finding{
			said("ruff", "F403", "undefined-local-with-import-star", 1, lint.Minor), said("pylint", "W0401", "wildcard-import", 1, lint.Minor),
		}, []string{"train.py:1:19 TL308 minor"}},
		{"the worst of the severities stays", "TL308", "from numpy import *\n", []lint.Finding{
			said("ruff", "F403", "undefined-local-with-import-star", 1, lint.Critical),
		}, []string{"train.py:1:19 TL308 critical"}},
		{"another line is another defect", "TL308", "from numpy import *\nfrom scipy import x\n", []lint.Finding{
			said("ruff", "F403", "undefined-local-with-import-star", 2, lint.Minor),
		}, []string{"train.py:1:19 TL308 minor", "train.py:2:1 ruff:F403 minor"}},
		{"what is no Python, wherever each reader stops", "TL301", "x = 1\ndef f(:\n", []lint.Finding{
			said("ruff", "invalid-syntax", "invalid-syntax", 3, lint.Critical), said("pylint", "E0001", "syntax-error", 1, lint.Critical),
		}, []string{"train.py:2:6 TL301 critical"}},
		{"what is no Python, by others alone", "TL308", "x = 1\ndef f(:\n", []lint.Finding{
			said("ruff", "invalid-syntax", "invalid-syntax", 2, lint.Critical), said("pylint", "E0001", "syntax-error", 2, lint.Critical),
		}, []string{"train.py:2:1 ruff:invalid-syntax critical"}},
		{"pylint says what ruff took over from it", "TL308", "x = 1\n", []lint.Finding{
			said("ruff", "PLW0177", "nan-comparison", 1, lint.Minor), said("pylint", "W0177", "nan-comparison", 1, lint.Minor),
		}, []string{"train.py:1:1 ruff:PLW0177 minor"}},
		{"a rule says the same of one line twice", "TL999", "MARK and MARK\n", nil, []string{"train.py:1:1 TL999 major"}},
		{"a credential in a call", "TL601 TL602 TL307", "connect(password='AKIA" + "Q3EGR7UZX2MDN5VB')\n", []lint.Finding{
			said("ruff", "S106", "hardcoded-password-func-arg", 1, lint.Minor),
		}, []string{"train.py:1:19 TL601 critical"}},
		{"the worst of what others say of it", "TL601 TL602 TL307", "connect(password='AKIA" + "Q3EGR7UZX2MDN5VB')\n", []lint.Finding{
			said("ruff", "S106", "hardcoded-password-func-arg", 1, lint.Blocker),
		}, []string{"train.py:1:19 TL601 blocker"}},
		{"the worst, whatever stands last in the line", "TL601 TL602 TL307", "connect('AKIA" + "Q3EGR7UZX2MDN5VB', password='x9Kf" + "2mQ7vL4wZ8rT1nB6')\n", []lint.Finding{
			said("ruff", "S106", "hardcoded-password-func-arg", 1, lint.Blocker),
		}, []string{"train.py:1:10 TL601 blocker"}},
		{"a password by two rules", "TL307 TL602", "db_password = 'x9Kf" + "2mQ7vL4wZ8rT1nB6'\n", nil, []string{"train.py:1:15 TL307 critical"}},
		{"what a wildcard replaces", "TL308", "from numpy import *\n", []lint.Finding{
			said("pylint", "W0622", "redefined-builtin", 1, lint.Minor), said("pylint", "W0622", "redefined-builtin", 1, lint.Minor),
		}, []string{"train.py:1:19 TL308 minor"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			twice := marks()
			twice.File = func(f *lint.File, r *lint.Report) {
				for i, line := range f.Lines() {
					for range strings.Count(line, "MARK") {
						r.At(f, i+1, 1, "found a mark")
					}
				}
			}
			rules := slices.DeleteFunc(append(lint.Catalogue(), twice), func(r lint.Rule) bool { return !strings.Contains(tt.rules, r.ID) })
			result := runOn(t, lint.Options{
				FS: repository(map[string]string{"train.py": tt.text}), Rules: rules,
				Others: func(context.Context, *lint.Repo) lint.Others {
					return lint.Others{Findings: tt.others, Ran: []string{"pylint", "ruff"}}
				},
			})
			if diff := cmp.Diff(tt.want, list(result)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
