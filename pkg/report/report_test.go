package report_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/report"
)

var update = flag.Bool("update", false, "rewrite the expected files")

func p(v float64) *float64 { return &v }

// release is a record with every section, but for what it scored.
func release(model string) record.Record {
	return record.Record{
		Schema: record.Schema, Project: "medical", Model: model,
		Version: record.Version{
			Version: "1.3.0", Candidate: "1.3.0-dev.8f3c2a1b", Base: "1.2.0", Bump: "minor", Released: true, Exact: true,
			Reason: []record.Reason{{Commit: "0f3a9c1d2e4b5a69788796a5b4c3d2e1f0a1b2c3", Bump: "minor", Text: "feat: scale the features"}},
		},
		Identity: strings.Repeat("8f3c2a1b", 8),
		Source:   record.Source{Repository: "https://gitlab.example.com/medical/models", Commit: strings.Repeat("0f3a9", 8), Ref: "main", Dirty: true},
		Data:     []record.Channel{{Name: "train", URI: "s3://towline-local/medical/data/train/77aa/", Digest: "77aa88bb", Test: true}},
		Image: &record.Image{
			Repository: "registry.towline.localhost/medical/" + model, Digest: "sha256:" + strings.Repeat("1a2b3c4d", 8),
			Platform: "linux/amd64", Python: "3.11", Base: "scratch", Size: 123_456_789,
		},
		Training: &record.Training{
			Job: "medical-" + model + "-1-3-0-dev-8f3c2a1b", ModelData: "s3://towline-local/medical/training/job/output/model.tar.gz",
			Instance: "ml.m5.large", Started: "2025-11-22T00:10:00Z", Ended: "2025-11-22T00:10:12Z", BillableSeconds: 12,
			Hyperparameters: map[string]string{"trees": "200", "depth": "6"},
		},
		Endpoint: &record.Endpoint{Environment: "local", Name: "medical-" + model + "-local", Config: "medical-" + model + "-1-3-0"},
	}
}

// classification passed against a champion.
func classification() record.Record {
	rec := release("breast-cancer")
	rec.Evaluation = &record.Evaluation{
		TestData: "77aa88bb", DataName: "test",
		Metrics:   map[string]float64{"f1": 0.973684, "accuracy": 0.964912, "log_loss": 0.1034},
		Confusion: &record.Confusion{Labels: []string{"malignant", "benign"}, Matrix: [][]int64{{40, 3}, {1, 70}}},
	}
	rec.Verdict = &record.Verdict{Passed: true, Champion: "1.2.0", Checks: []record.Check{
		{Metric: "f1", Rule: "at_least", Candidate: p(0.973684), Limit: 0.9, Status: "passed", Text: "f1 0.973684 is above 0.9"},
		{
			Metric: "f1", Rule: "may_drop", Candidate: p(0.973684), Champion: p(0.9655), Limit: 0.9605, Status: "passed",
			Text: "f1 0.973684 is above 0.9605 (champion 0.9655, may drop 0.005)",
		},
	}}
	return rec
}

// refused is a classification that the gate did not let pass.
func refused() record.Record {
	rec := classification()
	rec.Evaluation.Metrics["f1"] = 0.87
	rec.Evaluation.Confusion.Matrix = [][]int64{{30, 13}, {5, 66}}
	rec.Endpoint = nil
	rec.Verdict = &record.Verdict{Champion: "1.2.0", Note: "the champion 1.2.0 was measured on other test data (aaaa vs bbbb): not compared; only absolute limits decide",
		Checks: []record.Check{
			{Metric: "f1", Rule: "at_least", Candidate: p(0.87), Limit: 0.9, Status: "failed", Text: "f1 0.87 is below 0.9"},
			{
				Metric: "f1", Rule: "may_drop", Candidate: p(0.87), Status: "skipped",
				Text: "f1 0.87: not compared: the champion 1.2.0 was measured on other test data (aaaa vs bbbb)",
			},
			{Metric: "auc", Rule: "at_least", Limit: 0.9, Status: "failed", Text: "the evaluation has no metric auc; it has accuracy, f1, log_loss"},
		}}
	return rec
}

// regression is a first model.
func regression() record.Record {
	rec := release("diabetes")
	rec.Base, rec.Bump = "", "initial"
	random := rand.New(rand.NewPCG(1, 2))
	rec.Evaluation = &record.Evaluation{TestData: "77aa88bb", Metrics: map[string]float64{"rmse": 53.2, "r2": 0.4526, "bias": -1.25}}
	for range 400 {
		rec.Evaluation.Residuals = append(rec.Evaluation.Residuals, math.Round(random.NormFloat64()*540)/10)
	}
	rec.Evaluation.Residuals = append(rec.Evaluation.Residuals, 900, math.NaN())
	rec.Verdict = &record.Verdict{Passed: true, Note: "no champion yet: only absolute limits decide", Checks: []record.Check{
		{Metric: "rmse", Rule: "at_most", Candidate: p(53.2), Limit: 60, Status: "passed", Text: "rmse 53.2 is below 60"},
		{Metric: "rmse", Rule: "may_rise", Candidate: p(53.2), Status: "skipped", Text: "rmse 53.2: not compared: there is no champion yet"},
	}}
	return rec
}

const evil = "</script><script>alert(1)</script>`|\"'&\x00\x1b[2J\u202e@all #1 \xff"

// hostile is made of names that would break out of every format.
func hostile() record.Record {
	rec := refused()
	rec.Model, rec.Project, rec.Candidate, rec.Source.Ref = evil, evil, evil, evil
	rec.Source.Repository = "javascript:alert(1)"
	rec.Training.Hyperparameters = map[string]string{evil: evil}
	rec.Reason = []record.Reason{{Commit: evil, Text: evil}}
	rec.Evaluation.Metrics = map[string]float64{evil: 1, "": 2, "nan": math.NaN(), "inf": math.Inf(1), "-inf": math.Inf(-1), "huge": 1.7e308}
	rec.Evaluation.Confusion.Labels = []string{evil, ""}
	rec.Verdict.Note = evil
	rec.Verdict.Champion = evil
	rec.Verdict.Checks = append(rec.Verdict.Checks,
		record.Check{Metric: evil, Rule: evil, Candidate: p(1), Champion: p(math.MaxFloat64), Limit: -math.MaxFloat64, Status: evil, Text: evil},
		record.Check{Metric: evil, Rule: evil, Status: "failed", Text: evil})
	return rec
}

// enormous is a record whose parts have no reasonable size.
func enormous(classes int) record.Record {
	rec := refused()
	rec.Evaluation.Metrics = map[string]float64{}
	rec.Evaluation.Confusion = &record.Confusion{}
	for i := range classes {
		rec.Evaluation.Confusion.Labels = append(rec.Evaluation.Confusion.Labels, strings.Repeat("x", 10_000))
		row := make([]int64, classes)
		row[i], row[0] = 1000, int64(i)
		rec.Evaluation.Confusion.Matrix = append(rec.Evaluation.Confusion.Matrix, row)
	}
	for i := range 20_000 {
		metric := strings.Repeat("m", i%100) + string(rune('a'+i%26)) + strings.Repeat("n", i/100)
		rec.Evaluation.Metrics[metric] = float64(i)
		rec.Evaluation.Residuals = append(rec.Evaluation.Residuals, float64(i))
		rec.Verdict.Checks = append(rec.Verdict.Checks, record.Check{Metric: metric, Rule: "at_least", Candidate: p(1), Status: "failed", Text: strings.Repeat("t", 5000)})
	}
	return rec
}

func every() map[string]record.Record {
	return map[string]record.Record{
		"nothing": {}, "classification": classification(), "refused": refused(), "regression": regression(),
		"hostile": hostile(), "enormous": enormous(200),
	}
}

// golden compares with a file of testdata.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func summary(rec record.Record, s report.Style) string {
	var text strings.Builder
	report.Summary(&text, rec, s)
	return text.String()
}

func TestOutputs(t *testing.T) {
	for name, rec := range map[string]record.Record{"classification": classification(), "refused": refused(), "regression": regression()} {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".md", []byte(report.Markdown(rec)))
			golden(t, name+".html", report.HTML(rec))
			golden(t, name+".metrics.txt", report.Metrics(rec))
			golden(t, name+".junit.xml", report.JUnit(*rec.Verdict))
			golden(t, name+".summary.txt", []byte(summary(rec, report.Style{Prediction: `{"predictions": [0]}`, Report: ".towline/reports/report.html"})))
		})
	}
}

func reports(rec record.Record) []string {
	return []string{report.Markdown(rec), string(report.HTML(rec)), string(report.Metrics(rec))}
}

func TestTheSameRecordGivesTheSameBytes(t *testing.T) {
	for name, rec := range every() {
		once := reports(rec)
		for range 3 {
			again := reports(rec)
			if diff := cmp.Diff(once, again); diff != "" {
				t.Errorf("%s: two reports of one record differ:\n%s", name, diff)
			}
		}
	}
}

func TestOutputsAreBounded(t *testing.T) {
	for name, rec := range map[string]record.Record{"enormous": enormous(400), "drawn to the limit": enormous(50)} {
		for _, out := range []struct {
			kind string
			text string
			most int
		}{
			{"Markdown", report.Markdown(rec), 300_000},
			{"HTML", string(report.HTML(rec)), 1_500_000},
			{"OpenMetrics", string(report.Metrics(rec)), 30_000},
			{"JUnit", string(report.JUnit(*rec.Verdict)), 10_000_000},
			{"summary", summary(rec, report.Style{}), 20_000},
		} {
			if len(out.text) > out.most {
				t.Errorf("%s: %s has %d bytes, wanted at most %d", name, out.kind, len(out.text), out.most)
			}
		}
	}
}

// ours is every element that the page may have.
var ours = regexp.MustCompile(`^(html|head|meta|title|style|body|main|header|footer|p|h[123]|span|section|div|table|caption|thead|tbody|tr|th|td|details|summary|ul|li|code|svg|desc|rect|line|text)$`)

func TestThePageRunsNoScriptAndLoadsNothing(t *testing.T) {
	for name, rec := range every() {
		text := string(report.HTML(rec))
		for _, tag := range regexp.MustCompile(`<([a-zA-Z!][a-zA-Z0-9]*)`).FindAllStringSubmatch(text, -1) {
			if tag[1] != "!doctype" && !ours.MatchString(tag[1]) {
				t.Errorf("%s: the page has an element %s", name, tag[1])
			}
		}
		for _, bad := range []string{"src=", "href=", "url(", "@import", " on", "ZgotmplZ"} {
			if strings.Contains(regexp.MustCompile(`>[^<]*<`).ReplaceAllString(text, "><"), bad) {
				t.Errorf("%s: the page has %q within a tag", name, bad)
			}
		}
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\u202e") {
			t.Errorf("%s: the page has control characters or broken UTF-8", name)
		}
	}
}

// The page's body, from its first element to its last, is well-formed: every
// element that is opened is closed in order, and every attribute is quoted.
func TestThePageIsWellFormed(t *testing.T) {
	for name, rec := range every() {
		text := string(report.HTML(rec))
		decoder := xml.NewDecoder(strings.NewReader(text[strings.Index(text, "<body>"):strings.Index(text, "</html>")]))
		decoder.Entity = xml.HTMLEntity
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
		}
	}
}

func TestMetricsAreReadByGitLab(t *testing.T) {
	// GitLab cuts a line at the first # and splits it as a shell does.
	line := regexp.MustCompile(`^[a-z_]+\{[^ #'` + "`" + `$\\]*\} (NaN|[+-]Inf|[-+0-9.e]+)$`)
	for name, rec := range every() {
		text := string(report.Metrics(rec))
		if !strings.HasSuffix(text, "# EOF\n") {
			t.Errorf("%s: no end", name)
		}
		for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			if !strings.HasPrefix(l, "# ") && !line.MatchString(l) {
				t.Errorf("%s: line %q", name, l)
			}
		}
	}
}

func TestJUnit(t *testing.T) {
	type file struct {
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name    string  `xml:"name,attr"`
			Failure *string `xml:"failure"`
			Skipped *string `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	for _, tt := range []struct {
		name    string
		verdict record.Verdict
		want    string
	}{
		{"each check is a case", *refused().Verdict, "f1 at_least: failed, f1 may_drop: skipped, auc at_least: failed"},
		{"a gate that asked nothing skips", record.Verdict{Passed: true, Note: "nothing was asked"}, "verdict: skipped"},
		{
			"a refusal without a failed check fails", record.Verdict{Checks: []record.Check{{Metric: "f1", Rule: "may_drop", Status: "skipped"}}},
			"f1 may_drop: skipped, verdict: failed",
		},
		{
			"two checks of one name keep apart", record.Verdict{Passed: true, Checks: []record.Check{{Metric: "f1", Rule: "at_least", Status: "passed"}, {Metric: "f1", Rule: "at_least", Status: "passed"}}},
			"f1 at_least: passed, f1 at_least (2): passed",
		},
		{"names are escaped", record.Verdict{Checks: []record.Check{{Metric: evil, Rule: "at_least", Status: "failed", Text: evil}}},
			"</script><script>alert(1)</script>`|\"'&\ufffd\ufffd[2J\ufffd@all #1 \ufffd at_least: failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got file
			if err := xml.Unmarshal(report.JUnit(tt.verdict), &got); err != nil {
				t.Fatal(err)
			}
			var cases []string
			failures := 0
			for _, c := range got.Cases {
				status := "passed"
				if c.Failure != nil {
					status = "failed"
					failures++
				} else if c.Skipped != nil {
					status = "skipped"
				}
				cases = append(cases, c.Name+": "+status)
			}
			if text := strings.Join(cases, ", "); text != tt.want {
				t.Errorf("cases are %s, want %s", text, tt.want)
			}
			if got.Failures != failures {
				t.Errorf("failures=%d, want %d", got.Failures, failures)
			}
		})
	}
}

func TestMarkdownOfHostileNamesMentionsNobody(t *testing.T) {
	text := report.Markdown(hostile())
	outside := regexp.MustCompile("`[^`\n]*`").ReplaceAllString(text, "")
	for _, bad := range []string{"<script", "</script"} {
		if strings.Contains(strings.ReplaceAll(outside, "\\<", ""), bad) {
			t.Errorf("%q stands outside a code span", bad)
		}
	}
	if regexp.MustCompile(`(^|[^\\])[@#~]\w`).MatchString(outside) {
		t.Errorf("a reference stands outside a code span:\n%s", outside)
	}
	for _, line := range strings.Split(text, "\n") {
		cells := strings.Count(line, "|") - strings.Count(line, `\|`)
		if strings.HasPrefix(line, "| ") && cells < 3 {
			t.Errorf("a row of a table is broken: %s", line)
		}
	}
}

func TestSummaryKeepsToItsWidth(t *testing.T) {
	for name, rec := range every() {
		for _, width := range []int{0, 40, 60, 80, 200} {
			text := summary(rec, report.Style{Width: width, Prediction: strings.Repeat("0123456789", 100), Report: strings.Repeat("a/", 200)})
			if strings.Contains(text, "\x1b") {
				t.Errorf("%s: an escape sequence without a terminal", name)
			}
			for _, line := range strings.Split(text, "\n") {
				if n, most := utf8.RuneCountInString(line), map[bool]int{true: 80, false: width}[width == 0]; n > most {
					t.Errorf("%s: %d columns, wanted at most %d: %s", name, n, most, line)
				}
			}
		}
	}
}

func TestColoursChangeNoText(t *testing.T) {
	for name, rec := range every() {
		plain := summary(rec, report.Style{})
		colored := summary(rec, report.Style{Color: true})
		if got := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(colored, ""); got != plain {
			t.Errorf("%s (-plain +coloured):\n%s", name, cmp.Diff(plain, got))
		}
	}
}

func TestPicturesOfOddEvaluations(t *testing.T) {
	for _, tt := range []struct {
		name       string
		evaluation string // JSON
		want       string // in the page
	}{
		{"a matrix that is not square", `{"metrics":{},"confusion_matrix":{"labels":["a","b"],"matrix":[[1,2],[3]]}}`, "row 2 of the confusion matrix has 1 cells, wanted 2"},
		{"labels that are too few", `{"metrics":{},"confusion_matrix":{"labels":["a"],"matrix":[[1,2],[3,4]]}}`, "has 2 rows and 1 labels"},
		{"a negative count", `{"metrics":{},"confusion_matrix":{"labels":["a"],"matrix":[[-1]]}}`, "counts -1 in cell 1"},
		{"no classes", `{"metrics":{},"confusion_matrix":{"labels":[],"matrix":[]}}`, "the confusion matrix is empty"},
		{"a class without rows", `{"metrics":{},"confusion_matrix":{"labels":["a","b"],"matrix":[[0,0],[0,5]]}}`, "a called b: 0 of 0 (–)"},
		{"one residual", `{"metrics":{},"residuals":[3]}`, "smallest to greatest"},
		{"residuals that are all alike", `{"metrics":{},"residuals":[3,3,3,3]}`, "smallest to greatest"},
		{"residuals at the ends of the numbers", `{"metrics":{},"residuals":[-1.7e308,1.7e308,0,0,0]}`, "smallest to greatest"},
		{"most residuals zero", `{"metrics":{},"residuals":[0,0,0,0,0,0,0,0,0,5]}`, "Histogram"},
		{"an outlier does not squeeze the rest", `{"metrics":{},"residuals":[1,2,3,4,5,6,7,8,9,1000000]}`, "1 of 10 lie beyond the ends"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rec record.Record
			if err := json.Unmarshal([]byte(`{"evaluation":`+tt.evaluation+`}`), &rec); err != nil {
				t.Fatal(err)
			}
			if text := string(report.HTML(rec)); !strings.Contains(text, tt.want) {
				t.Errorf("the page lacks %q", tt.want)
			}
			_ = report.Markdown(rec)
		})
	}
}
