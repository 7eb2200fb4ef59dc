package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"gitlab.com/towline/towline/pkg/lint"
	"gitlab.com/towline/towline/pkg/report"
)

// found are findings of every kind, some of them hostile.
func found() report.Lint {
	findings := []lint.Finding{
		{Tool: lint.Own, Rule: "TL101", Name: "large-file", Severity: lint.Major, Path: "data/größe 1.csv", Message: "the file has 11 MB", Advice: "keep it in S3"},
		{Tool: lint.Own, Rule: "TL302", Name: "home-path", Severity: lint.Critical, Path: "train.py", Line: 3, Column: 8, Message: "a path", Advice: "take it from an option", Source: "é = \t\"/home/me\"", Fix: &lint.Fix{}},
		{Tool: lint.Own, Rule: "TL302", Name: "home-path", Severity: lint.Minor, Path: "nb.ipynb", Line: 40, Column: 5, Cell: 3, CellLine: 12, Message: "a path", Source: "p = '/home/me'"},
		{Tool: "ruff", Rule: "ruff:F401", Name: "unused-import", Severity: lint.Info, Path: "train.py", Line: 1, EndLine: 2, Message: "`os` unused & <b>\x1b[31m"},
		{Tool: "pylint", Rule: "pylint:astroid-error", Name: "astroid-error", Severity: lint.Blocker, Path: "a.py", Line: 1, Column: 9000, Message: strings.Repeat("x", 3000), Source: strings.Repeat("長", 300)},
		{Tool: "pylint", Rule: "pylint:astroid-error", Name: "astroid-error", Severity: lint.Blocker, Path: "a.py", Line: 1, Column: 9000, Message: strings.Repeat("x", 3000), Source: strings.Repeat("長", 300)},
	}
	for i := range findings {
		findings[i].Fingerprint = fmt.Sprintf("%032x", i+1)
	}
	return report.Lint{
		Result: lint.Result{Profile: lint.Team, Why: "there is a .gitlab-ci.yml", Findings: findings, Files: 7, Ignored: 1, Known: 2}, FailOn: lint.Major,
		Tools: []report.Tool{{Name: "pylint", State: "ran"}, {Name: "ruff", State: "absent", Why: "not on the PATH"}},
	}
}

func encode(t *testing.T, format string, l report.Lint) []byte {
	t.Helper()
	text, err := report.EncodeLint(format, l, lint.Catalogue(), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCodeQualityIsWhatGitLabReads(t *testing.T) {
	var list []map[string]any
	if err := json.Unmarshal(encode(t, "codequality", found()), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != len(found().Findings) {
		t.Fatalf("%d entries, want %d", len(list), len(found().Findings))
	}
	if begin := list[0]["location"].(map[string]any)["lines"].(map[string]any)["begin"]; begin != 1.0 {
		t.Errorf("a finding about a whole file begins at line %v, want 1", begin)
	}
	if text := list[2]["description"]; text != "a path (cell 3, line 12)" {
		t.Errorf("description of a finding in a notebook: %q, want the cell named", text)
	}
	empty, err := report.CodeQuality(nil)
	if err != nil || strings.TrimSpace(string(empty)) != "[]" {
		t.Errorf("CodeQuality of nothing = %q, %v, want an empty list", empty, err)
	}
}

func TestACodeQualityReportThatGitLabWouldNotReadIsRefused(t *testing.T) {
	good := `{"description": "a", "check_name": "b", "fingerprint": "c", "severity": "minor", "location": {"path": "d.py", "lines": {"begin": 1}}}`
	if err := report.CheckCodeQuality([]byte("[" + good + "]")); err != nil {
		t.Fatalf("CheckCodeQuality of a good report = %v", err)
	}
	for _, tt := range []struct{ name, text string }{
		{"a byte order mark", "\ufeff[]"},
		{"an object", good},
		{"nothing", ""},
		{"two of one fingerprint", "[" + good + "," + good + "]"},
		{"no description", "[" + strings.Replace(good, `"a"`, `""`, 1) + "]"},
		{"an unknown severity", "[" + strings.Replace(good, "minor", "warning", 1) + "]"},
		{"an absolute path", "[" + strings.Replace(good, "d.py", "/d.py", 1) + "]"},
		{"a path that begins with a dot", "[" + strings.Replace(good, "d.py", "./d.py", 1) + "]"},
		{"line 0", "[" + strings.Replace(good, `"begin": 1`, `"begin": 0`, 1) + "]"},
		{"a line that is text", "[" + strings.Replace(good, `"begin": 1`, `"begin": "1"`, 1) + "]"},
	} {
		if err := report.CheckCodeQuality([]byte(tt.text)); err == nil {
			t.Errorf("%s: CheckCodeQuality = nil, want an error", tt.name)
		}
	}
	twice := found().Findings
	twice[1].Fingerprint = twice[0].Fingerprint
	if _, err := report.CodeQuality(twice); err == nil {
		t.Error("CodeQuality of findings with one fingerprint = nil, want an error")
	}
}

// sarifLog is SARIF as far as a consumer needs it.
type sarifLog struct {
	Version string
	Runs    []struct {
		Tool struct {
			Driver struct {
				Name, Version string
				Rules         []struct{ ID string }
			}
		}
		Results []struct {
			RuleID    string
			RuleIndex int
			Level     string
			Message   struct{ Text string }
			Locations []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI string }
					Region           *struct{ StartLine, StartColumn, EndLine int }
				}
			}
			PartialFingerprints map[string]string
		}
	}
}

// The schema is the standard's own.
func TestSARIFIsValid(t *testing.T) {
	text, err := os.ReadFile("testdata/sarif-2.1.0.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("sarif.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	nothing := found()
	nothing.Findings, nothing.Tools = nil, nil
	for name, l := range map[string]report.Lint{"findings of every kind": found(), "nothing": nothing} {
		var value any
		if err := json.Unmarshal(encode(t, "sarif", l), &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		value.(map[string]any)["version"] = "2.0.0"
		if schema.Validate(value) == nil {
			t.Errorf("%s: as version 2.0.0 it is valid, too: the schema is not read", name)
		}
	}
}

func TestSARIFHoldsTogether(t *testing.T) {
	var log sarifLog
	if err := json.Unmarshal(encode(t, "sarif", found()), &log); err != nil {
		t.Fatal(err)
	}
	var names []string
	results := 0
	for _, run := range log.Runs {
		names = append(names, run.Tool.Driver.Name)
		results += len(run.Results)
		for _, result := range run.Results {
			if run.Tool.Driver.Rules[result.RuleIndex].ID != result.RuleID {
				t.Errorf("result %s points at the rule %s", result.RuleID, run.Tool.Driver.Rules[result.RuleIndex].ID)
			}
			if result.Message.Text == "" || result.PartialFingerprints["towline/v1"] == "" || len(result.Locations) != 1 {
				t.Errorf("result %+v lacks message, fingerprint or place", result)
			}
		}
	}
	if strings.Join(names, " ") != "towline pylint ruff" || results != len(found().Findings) || log.Version != "2.1.0" {
		t.Errorf("runs %q of version %s with %d results", names, log.Version, results)
	}
	own := log.Runs[0]
	if own.Tool.Driver.Version != "1.2.3" {
		t.Errorf("version of the driver: %q", own.Tool.Driver.Version)
	}
	first := own.Results[0].Locations[0].PhysicalLocation
	if first.ArtifactLocation.URI != "data/gr%C3%B6%C3%9Fe%201.csv" || first.Region != nil {
		t.Errorf("place of a whole file: %+v, want an encoded address and no region", first)
	}
	if region := own.Results[1].Locations[0].PhysicalLocation.Region; region.StartLine != 3 || region.StartColumn != 7 || own.Results[1].Level != "error" {
		t.Errorf("region %+v, level %s, want column 7 in characters and an error", region, own.Results[1].Level)
	}
}

func TestJUnitFailsFromTheSeverityOnThatIsAnError(t *testing.T) {
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Suite    struct {
			Cases []struct {
				Name string `xml:"name,attr"`
				File string `xml:"file,attr"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(encode(t, "junit", found()), &suites); err != nil {
		t.Fatal(err)
	}
	if suites.Tests != 7 || suites.Failures != 5 || suites.Skipped != 2 {
		t.Errorf("%d tests, %d failures, %d skipped, want 7, 5 and 2", suites.Tests, suites.Failures, suites.Skipped)
	}
	seen := map[string]bool{}
	for _, c := range suites.Suite.Cases {
		if seen[c.Name] {
			t.Errorf("two cases are called %q: GitLab shows one", c.Name)
		}
		seen[c.Name] = true
	}
}

func TestFindingsInJSON(t *testing.T) {
	var document struct {
		Profile  string
		FailOn   string `json:"fail_on"`
		Counts   map[string]int
		Findings []map[string]any
		Tools    []map[string]any
	}
	if err := json.Unmarshal(encode(t, "json", found()), &document); err != nil {
		t.Fatal(err)
	}
	if document.Profile != "team" || document.FailOn != "major" || document.Counts["blocker"] != 2 || len(document.Tools) != 2 {
		t.Errorf("document %+v", document)
	}
	if f := document.Findings[1]; f["fixable"] != true || f["column"] != 8.0 || f["severity"] != "critical" {
		t.Errorf("a finding: %v", f)
	}
}

func TestTheTerminalReportIsHarmless(t *testing.T) {
	text := string(report.LintText(found(), report.LintStyle{}))
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, "\x1b") || len([]rune(line)) > 750 {
			t.Errorf("a line that may harm a terminal: %q", line)
		}
	}
	for _, want := range []string{
		"     3 | é =     \"/home/me\"\n       |          ^\n", // a tab is four blanks
		"  cell_3:12  minor  TL302 home-path: a path",
		"6 findings in 4 files: 2 blocker, 1 critical, 1 major, 1 minor, 1 info\n",
		"profile team: there is a .gitlab-ci.yml · fails on major · pylint · ruff absent · 1 ignored by comments · 2 in the baseline · 1 mended by --fix\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if colored := string(report.LintText(found(), report.LintStyle{Color: true})); !strings.Contains(colored, "\x1b[31mcritical\x1b[0m") {
		t.Errorf("on a terminal the severity has no colour:\n%s", colored)
	}
}

func TestEveryRuleCanBeExplained(t *testing.T) {
	rules := lint.Catalogue()
	for _, rule := range rules {
		text := string(report.RuleText(rule))
		if !strings.HasPrefix(text, rule.ID+" "+rule.Name+"\n") || !strings.Contains(text, "\nbad:\n") || strings.ContainsAny(text, "\x00\x1b") {
			t.Errorf("RuleText(%s) = %q", rule.ID, text)
		}
	}
	if lines := strings.Count(string(report.RuleList(rules)), "\n"); lines != len(rules) {
		t.Errorf("RuleList has %d lines, want %d", lines, len(rules))
	}
}
