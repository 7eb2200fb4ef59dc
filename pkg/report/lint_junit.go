package report

import (
	"fmt"

	"gitlab.com/towline/towline/pkg/lint"
)

// lintJUnit writes findings as test cases: failed from the severity on that is
// an error, skipped below. One more case stands for the run as a whole.
func lintJUnit(l Lint) []byte {
	suite := junitSuite{Name: "lint"}
	failing := l.Failing()
	whole := junitCase{Class: "lint", Name: "towline lint", Time: "0", Output: fmt.Sprintf("%d files, profile %s", l.Files, l.Profile)}
	if failing > 0 {
		text := fmt.Sprintf("%d findings of severity %s or above", failing, l.FailOn)
		whole.Failure = &junitWhy{Message: text, Type: "findings", Text: text}
	}
	suite.Cases = append(suite.Cases, whole)
	names := map[string]int{}
	for _, f := range first(l.Findings, maxCases) {
		c := lintCase(f, l.FailOn)
		names[c.Name]++
		if n := names[c.Name]; n > 1 { // GitLab leaves out cases of the same name
			c.Name = fmt.Sprintf("%s (%d)", c.Name, n)
		}
		suite.Cases = append(suite.Cases, c)
	}
	return marshal(suite)
}

func lintCase(f lint.Finding, failOn lint.Severity) junitCase {
	text := clean(f.Place() + ": " + f.Message)
	c := junitCase{Class: "lint " + clean(f.Rule), Name: clip(clean(f.Path+" "+f.Rule+" "+f.Message), 2*nameLength), File: clean(f.Path), Time: "0"}
	if f.Severity >= failOn {
		c.Failure = &junitWhy{Message: text, Type: f.Severity.String(), Text: text + "\n" + clean(f.Source) + "\n" + clean(f.Advice)}
	} else {
		c.Skipped = &junitWhy{Message: f.Severity.String() + ": " + text}
	}
	return c
}
