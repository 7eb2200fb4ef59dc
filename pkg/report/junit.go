package report

import (
	"encoding/xml"
	"fmt"
	"strings"

	"gitlab.com/towline/towline/pkg/record"
)

// maxCases bounds a JUnit file far below GitLab's 30 MB.
const maxCases = 5000

type junitSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Suite    junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string    `xml:"classname,attr"`
	Name    string    `xml:"name,attr"`
	File    string    `xml:"file,attr,omitempty"`
	Time    string    `xml:"time,attr"`
	Failure *junitWhy `xml:"failure"`
	Skipped *junitWhy `xml:"skipped"`
	Output  string    `xml:"system-out,omitempty"`
}

type junitWhy struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit writes the verdict as test cases, one for each check. The decision
// itself is one more case where no check stands for it: when nothing was asked,
// or when the candidate was refused because nothing could be checked.
func JUnit(verdict record.Verdict) []byte {
	suite := junitSuite{Name: "gate"}
	names := map[string]int{}
	failed := false
	for _, check := range first(verdict.Checks, maxCases) {
		c := caseOf(check)
		names[c.Name]++
		if n := names[c.Name]; n > 1 { // GitLab leaves out cases of the same name
			c.Name = fmt.Sprintf("%s (%d)", c.Name, n)
		}
		failed = failed || c.Failure != nil
		suite.Cases = append(suite.Cases, c)
	}
	if !verdict.Passed && !failed {
		suite.Cases = append(suite.Cases, decision(&junitWhy{Message: said(verdict.Note), Type: "refused", Text: said(verdict.Note)}, nil))
	} else if len(suite.Cases) == 0 {
		suite.Cases = append(suite.Cases, decision(nil, &junitWhy{Message: said(verdict.Note)}))
	}
	return marshal(suite)
}

func caseOf(check record.Check) junitCase {
	c := junitCase{Class: "gate", Name: name(check.Metric) + " " + clip(check.Rule, nameLength), Time: "0"}
	text := said(check.Text)
	switch check.Status {
	case "failed":
		c.Failure = &junitWhy{Message: text, Type: clip(check.Rule, nameLength), Text: text}
	case "skipped":
		c.Skipped = &junitWhy{Message: text}
	default:
		c.Output = text
	}
	return c
}

func decision(failure, skipped *junitWhy) junitCase {
	return junitCase{Class: "gate", Name: "verdict", Time: "0", Failure: failure, Skipped: skipped}
}

func said(text string) string { return clip(text, textLength) }

func marshal(suite junitSuite) []byte {
	suite.Tests = len(suite.Cases)
	for _, c := range suite.Cases {
		if c.Failure != nil {
			suite.Failures++
		}
		if c.Skipped != nil {
			suite.Skipped++
		}
	}
	all := junitSuites{Tests: suite.Tests, Failures: suite.Failures, Skipped: suite.Skipped, Suite: suite}
	var text strings.Builder
	text.WriteString(xml.Header)
	encoder := xml.NewEncoder(&text)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return []byte(xml.Header + "<testsuites></testsuites>\n") // plain structs of text always encode
	}
	text.WriteString("\n")
	return []byte(text.String())
}

// JUnitOfCommand is a report of tests whose program wrote none: one case, which
// failed if the command ended with an error.
func JUnitOfCommand(model string, command []string, ended error) []byte {
	c := junitCase{Class: "test", Name: name(strings.Join(command, " ")), Time: "0"}
	if ended != nil {
		c.Failure = &junitWhy{Message: said(ended.Error()), Type: "failed", Text: said(ended.Error())}
	}
	return marshal(junitSuite{Name: name(model), Cases: []junitCase{c}})
}
