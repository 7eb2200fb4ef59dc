package report_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/report"
)

func TestAnnotationsAreWhatGitLabTakes(t *testing.T) {
	links := []report.Link{
		{Label: "Endpoint", URL: "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/endpoints/a"},
		{Label: "a script", URL: "javascript:alert(1)"}, {Label: "a token", URL: "https://user:token@host/"},
		{Label: "nothing", URL: ""}, {Label: "no host", URL: "https:///x"}, {Label: "too long", URL: "https://h/" + strings.Repeat("x", 2000)},
		{Label: strings.Repeat("l", 300), URL: "http://h/1"},
	}
	const want = `{
  "Towline: mean": [
    {
      "external_link": {
        "label": "Endpoint",
        "url": "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/endpoints/a"
      }
    },
    {
      "external_link": {
        "label": "%s…",
        "url": "http://h/1"
      }
    }
  ]
}
`
	if got := string(report.Annotations("Towline: mean", links)); got != fmt.Sprintf(want, strings.Repeat("l", 99)) {
		t.Errorf("Annotations = %s", got)
	}
	if got := string(report.Annotations("Towline: mean", nil)); got != "{\n  \"Towline: mean\": []\n}\n" {
		t.Errorf("Annotations of nothing = %q", got)
	}
}

func TestAnnotationsStayBelowTheirLimit(t *testing.T) {
	var links []report.Link
	for i := range 5000 {
		links = append(links, report.Link{Label: strings.Repeat("☃", 200), URL: fmt.Sprintf("https://h/%d%s", i, strings.Repeat("x", 990))})
	}
	text := report.Annotations("x", links)
	var read map[string][]struct {
		Link struct{ Label, URL string } `json:"external_link"`
	}
	if err := json.Unmarshal(text, &read); err != nil || len(text) >= 80<<10 || len(read["x"]) == 0 {
		t.Errorf("%d bytes, %d links, %v", len(text), len(read["x"]), err)
	}
}

func TestANoteBeginsWithItsMarkerAndFits(t *testing.T) {
	rec := record.Record{Project: "tiny", Model: "mean", Version: record.Version{
		Version: "0.2.0", Base: "0.1.0", Bump: "minor", Released: true, Candidate: "0.2.0-mr.7.57",
		Reason: []record.Reason{{Commit: strings.Repeat("a", 40), Header: "feat: <!-- a --> @all", Text: "a feature"}},
	}, Source: record.Source{Commit: strings.Repeat("a", 40), Pipeline: "https://gitlab.example.com/p/-/pipelines/8"}}
	got := report.Note(rec, 1_000_000)
	for _, want := range []string{
		"<!-- towline:report:tiny/mean -->\n### ", "It would be released as `0.2.0`, a minor release after `0.1.0`.",
		"- `aaaaaaa…` feat\\: \\<\\!-- a --\\> \\@all (a feature)", "[pipeline](https://gitlab.example.com/p/-/pipelines/8)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("Note lacks %q:\n%s", want, got)
		}
	}
	rec.Verdict = &record.Verdict{}
	for i := range 150 {
		rec.Verdict.Checks = append(rec.Verdict.Checks, record.Check{Metric: fmt.Sprint(i), Status: "failed", Text: strings.Repeat("é", 500)})
	}
	short := report.Note(rec, 9000)
	if len(short) > 9000 || !strings.Contains(short, "longer than a note may be") || !strings.HasPrefix(short, "<!-- towline") {
		t.Errorf("a note of %d bytes, want 9000 at most, and said so", len(short))
	}
}
