package report

import (
	"bytes"
	_ "embed" // the page and its style
	"html/template"
	"maps"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/record"
)

//go:embed page.html.tmpl
var pageText string

//go:embed page.css
var pageStyle string

// page is everything that the template shows.
type page struct {
	Style       template.CSS
	Project     string
	Model       string
	Name        string
	Outcome     string
	Note        string
	Checks      []row
	MoreChecks  string
	Bars        *picture
	Metrics     []metricRow
	MoreMetrics string
	Confusion   *confusion
	Residuals   *residuals
	Facts       []fact
	Reasons     []fact
	MoreReasons string
}

// row is one line of the verdict's table.
type row struct {
	Metric, Rule, Candidate, Champion, Limit, Status, Text string
}

type metricRow struct {
	Name, Value, Champion string
}

// HTML writes a page about the release that needs no other file and no
// network, and runs no script.
func HTML(rec record.Record) []byte {
	var out bytes.Buffer
	parsed, err := template.New("page").Funcs(template.FuncMap{"percent": percent, "viewbox": viewbox}).Parse(pageText)
	if err == nil {
		err = parsed.Execute(&out, pageOf(rec))
	}
	if err != nil {
		return []byte("<!doctype html><title>towline</title><p>" + template.HTMLEscapeString(err.Error()) + "</p>\n")
	}
	return out.Bytes()
}

func pageOf(rec record.Record) page {
	metrics := metricsOf(rec)
	p := page{
		Style:   template.CSS(pageStyle), //nolint:gosec // our own file
		Project: name(rec.Project), Model: name(rec.Model), Name: clip(rec.Name(), nameLength),
		Outcome: outcome(rec),
		Bars:    barsOf(rec), Confusion: confusionOf(rec), Residuals: residualsOf(rec),
		Facts:       factsOf(rec),
		MoreMetrics: more(len(metrics), maxMetrics, "metrics"),
		MoreReasons: more(len(rec.Reason), maxReasons, "reasons"),
	}
	if rec.Verdict != nil {
		p.Note = said(rec.Verdict.Note)
		p.MoreChecks = more(len(rec.Verdict.Checks), maxChecks, "checks")
		for _, check := range first(rec.Verdict.Checks, maxChecks) {
			p.Checks = append(p.Checks, rowOf(check))
		}
	}
	for _, m := range first(metrics, maxMetrics) {
		p.Metrics = append(p.Metrics, metricRow{name(m.Name), number(m.Value), optional(m.Champion)})
	}
	for _, reason := range first(rec.Reason, maxReasons) {
		p.Reasons = append(p.Reasons, fact{clip(reason.Commit, 12), said(reason.Text)})
	}
	return p
}

func rowOf(check record.Check) row {
	return row{
		Metric: name(check.Metric), Rule: ruleText(check.Rule),
		Candidate: optional(check.Candidate), Champion: optional(check.Champion), Limit: limitText(check),
		Status: clip(check.Status, nameLength), Text: said(check.Text),
	}
}

// Mark is the status as a sign, so that colour alone says nothing.
func (r row) Mark() string { return mark(r.Status) }

func mark(status string) string {
	switch status {
	case "passed":
		return "✓"
	case "failed":
		return "✗"
	}
	return "–"
}

// Badge is the outcome as the name of a style.
func (p page) Badge() string { return strings.ReplaceAll(p.Outcome, " ", "-") }

// Compared says that a champion's numbers are known.
func (p page) Compared() bool {
	return slices.ContainsFunc(p.Metrics, func(m metricRow) bool { return m.Champion != "–" })
}

// factsOf lists what is known of the release, stage by stage.
func factsOf(rec record.Record) []fact {
	list := facts("version", rec.Version.Version, "candidate", rec.Candidate, "builds on", rec.Base, "bump", rec.Bump,
		"identity", rec.Identity, "repository", rec.Source.Repository, "commit", commitOf(rec.Source), "branch or tag", rec.Source.Ref,
		"pipeline", rec.Source.Pipeline, "job", rec.Source.Job)
	for _, channel := range first(rec.Data, maxFacts) {
		list = append(list, facts("data "+channel.Name, channelText(channel))...)
	}
	if i := rec.Image; i != nil {
		list = append(list, facts("image", imageOf(*i), "image built on", i.Base, "platform", i.Platform, "python", i.Python, "image size", bytesOf(i.Size))...)
	}
	if t := rec.Training; t != nil {
		list = append(list, facts("training job", t.Job, "trained on", t.Instance, "training started", t.Started, "training ended", t.Ended, "model data", t.ModelData)...)
		for _, key := range first(slices.Sorted(maps.Keys(t.Hyperparameters)), maxFacts) {
			list = append(list, facts("hyperparameter "+key, t.Hyperparameters[key])...)
		}
	}
	if e := rec.Evaluation; e != nil {
		list = append(list, facts("test data", e.TestData, "test channel", e.DataName)...)
	}
	if e := rec.Endpoint; e != nil {
		list = append(list, facts("endpoint", e.Name, "environment", e.Environment, "endpoint config", e.Config)...)
	}
	return list
}

// facts makes facts of names and texts in turn, without the empty ones.
func facts(pairs ...string) []fact {
	var list []fact
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, fact{name(pairs[i]), said(pairs[i+1])})
		}
	}
	return list
}

func commitOf(s record.Source) string {
	if s.Dirty {
		return s.Commit + " with uncommitted changes"
	}
	return s.Commit
}

func channelText(c record.Channel) string {
	if c.Digest == "" {
		return c.URI
	}
	return c.URI + " (" + c.Digest + ")"
}

// imageOf is the reference by digest.
func imageOf(i record.Image) string {
	if i.Repository == "" {
		return i.Digest
	}
	return i.Repository + "@" + i.Digest
}

func viewbox(p *picture) string {
	return "0 0 " + px(float64(p.Width)) + " " + px(float64(p.Height))
}
