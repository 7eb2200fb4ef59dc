package report

import (
	"cmp"
	"net/url"
	"slices"
	"unicode/utf8"

	"gitlab.com/towline/towline/pkg/lint"
)

// The shapes of SARIF 2.1.0, as far as they are written:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string        `json:"id"`
		Name  string        `json:"name,omitempty"`
		Short *sarifMessage `json:"shortDescription,omitempty"`
		Full  *sarifMessage `json:"fullDescription,omitempty"`
		Help  *sarifMessage `json:"help,omitempty"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifMessage      `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
		EndLine     int `json:"endLine,omitempty"`
	}
)

// sarif writes one run for each tool that had something to say, and always one
// of Towline's own rules.
func sarif(l Lint, catalogue []lint.Rule, version string) ([]byte, error) {
	log := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0"}
	versions := map[string]string{lint.Own: version}
	tools := []string{lint.Own}
	for _, tool := range l.Tools {
		if tool.State == "ran" {
			versions[tool.Name] = tool.Version
			tools = append(tools, tool.Name)
		}
	}
	for _, f := range l.Findings {
		if !slices.Contains(tools, f.Tool) {
			tools = append(tools, f.Tool)
		}
	}
	for _, tool := range tools {
		log.Runs = append(log.Runs, sarifRunOf(tool, versions[tool], l.Findings, catalogue))
	}
	return indented(log)
}

func sarifRunOf(tool, version string, findings []lint.Finding, catalogue []lint.Rule) sarifRun {
	run := sarifRun{
		Tool: sarifTool{sarifDriver{Name: tool, Version: version, Rules: []sarifRule{}}}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{},
	}
	index := map[string]int{}
	for _, f := range findings {
		if f.Tool != tool {
			continue
		}
		i, listed := index[f.Rule]
		if !listed {
			i = len(index)
			index[f.Rule] = i
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(f, catalogue))
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: f.Rule, RuleIndex: i, Level: sarifLevel(f.Severity), Message: sarifMessage{f.Message},
			Locations:    []sarifLocation{{sarifPhysical{sarifArtifact{uri(f.Path), "%SRCROOT%"}, region(f)}}},
			Fingerprints: map[string]string{"towline/v1": f.Fingerprint},
		})
	}
	return run
}

func sarifRuleOf(f lint.Finding, catalogue []lint.Rule) sarifRule {
	for _, rule := range catalogue {
		if rule.ID == f.Rule && f.Tool == lint.Own {
			return sarifRule{
				ID: rule.ID, Name: rule.Name,
				Short: &sarifMessage{rule.Looks}, Full: &sarifMessage{rule.Why}, Help: &sarifMessage{rule.Advice},
			}
		}
	}
	return sarifRule{ID: f.Rule, Name: f.Name}
}

func sarifLevel(s lint.Severity) string {
	switch {
	case s >= lint.Major:
		return "error"
	case s == lint.Minor:
		return "warning"
	}
	return "note"
}

func uri(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// region is the place in the file, in code points as far as the line is known.
func region(f lint.Finding) *sarifRegion {
	if f.Line == 0 {
		return nil
	}
	r := &sarifRegion{StartLine: f.Line, EndLine: cmp.Or(f.EndLine, f.Line)}
	if f.Column > 0 && f.Cell == 0 && f.Column-1 <= len(f.Source) {
		r.StartColumn = utf8.RuneCountInString(f.Source[:f.Column-1]) + 1
	}
	return r
}
