package report

import (
	_ "embed" // the page's style
	"fmt"

	"gitlab.com/towline/towline/pkg/record"
)

//go:embed page.css
var pageStyle string

const pageHead = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>%s %s: %s</title>
<style>
`

// HTML writes a page about the release that needs no other file and no
// network, and runs no script.
func HTML(rec record.Record) []byte {
	var m markup
	m.put(pageHead, name(rec.Model), clip(rec.Name(), nameLength), outcome(rec))
	m.text.WriteString(pageStyle)
	m.put("</style>\n</head>\n<body>\n<main>\n")
	m.title(rec)
	m.verdict(rec.Verdict)
	m.metrics(rec)
	m.confusion(confusionOf(rec))
	m.residuals(residualsOf(rec))
	m.release(rec)
	m.put("<footer>Made by Towline from the release record.</footer>\n</main>\n</body>\n</html>\n")
	return []byte(m.text.String())
}

func (m *markup) title(rec record.Record) {
	m.put("<header>\n<p class=\"project\">%s</p>\n<h1>%s <span class=\"version\">%s</span></h1>\n",
		name(rec.Project), name(rec.Model), clip(rec.Name(), nameLength))
	class, words := "unjudged", "– not judged"
	switch outcome(rec) {
	case "passed":
		class, words = "passed", "✓ passed the gate"
	case "refused":
		class, words = "refused", "✗ refused by the gate"
	case "passed unjudged":
		words = "– passed, but nothing was checked"
	}
	m.put("<p class=\"badge %s\">%s</p>\n", class, words)
	if rec.Verdict != nil {
		m.optional("<p class=\"note\">%s</p>\n", said(rec.Verdict.Note))
	}
	m.put("</header>\n")
}

func (m *markup) verdict(v *record.Verdict) {
	if v == nil || len(v.Checks) == 0 {
		return
	}
	m.section("verdict", "Verdict")
	m.put("<div class=\"wide\">\n")
	m.head("", cells{{"Metric", ""}, {"Rule", ""}, {"Candidate", "n"}, {"Champion", "n"}, {"Limit", "n"}, {"Status", ""}, {"In words", ""}})
	for _, check := range first(v.Checks, maxChecks) {
		status := clip(check.Status, nameLength)
		m.row(cells{
			{name(check.Metric), ""},
			{ruleText(check.Rule), "rule-name"},
			{optional(check.Candidate), "n"},
			{optional(check.Champion), "n"},
			{limitText(check), "n"},
			{mark(check.Status) + " " + status, "status " + status},
			{said(check.Text), "words"},
		})
	}
	m.foot()
	m.put("</div>\n")
	m.optional("<p class=\"more\">%s</p>\n", more(len(v.Checks), maxChecks, "checks"))
	m.put("</section>\n")
}

// mark is the status as a sign, so that colour alone says nothing.
func mark(status string) string {
	switch status {
	case "passed":
		return "✓"
	case "failed":
		return "✗"
	}
	return "–"
}

func (m *markup) metrics(rec record.Record) {
	metrics := metricsOf(rec)
	if len(metrics) == 0 {
		return
	}
	bars := barsOf(rec)
	m.section("scores", "Metrics")
	m.draw(bars)
	m.fold("Metrics as a table", bars == nil)
	m.head("", cells{{"Metric", ""}, {"Candidate", "n"}, {"Champion", "n"}})
	for _, one := range first(metrics, maxMetrics) {
		m.row(cells{{name(one.Name), ""}, {number(one.Value), "n"}, {optional(one.Champion), "n"}})
	}
	m.foot()
	m.put("</div>\n")
	m.optional("<p class=\"more\">%s</p>\n", more(len(metrics), maxMetrics, "metrics"))
	m.put("</details>\n</section>\n")
}

func (m *markup) confusion(c *confusion) {
	if c == nil {
		return
	}
	m.section("classes", "Confusion matrix")
	defer m.put("</section>\n")
	if c.Problem != "" {
		m.put("<p class=\"note\">%s</p>\n", c.Problem)
		return
	}
	how := "Each cell is coloured by its share of the row."
	if c.Picture == nil {
		how = "There are too many classes for a picture."
	}
	m.put("<p>%s %s</p>\n<div class=\"beside\">\n", c.summary(), how)
	m.draw(c.Picture)
	m.put("<div>\n")
	m.mistakes(c.Mistakes)
	m.put("</div>\n</div>\n")
	m.fold("Class by class", c.Classes <= maxWritten)
	m.head("", cells{{"Class", ""}, {"Rows", "n"}, {"Recall", "n"}, {"Precision", "n"}})
	for _, one := range c.Table {
		m.row(cells{{one.Name, ""}, {fmt.Sprint(one.Rows), "n"}, {percent(one.Recall), "n"}, {percent(one.Precision), "n"}})
	}
	m.foot()
	m.put("</div>\n")
	m.optional("<p class=\"more\">%s</p>\n", c.Omitted)
	m.put("</details>\n")
}

func (m *markup) mistakes(list []mistake) {
	if len(list) == 0 {
		m.put("<p>No mistakes.</p>\n")
		return
	}
	m.head("Most frequent mistakes", cells{{"Observed", ""}, {"Called", ""}, {"Rows", "n"}, {"Share", "n"}})
	for _, one := range list {
		m.row(cells{{one.Observed, "plain"}, {one.Called, ""}, {fmt.Sprint(one.Count), "n"}, {percent(one.Share), "n"}})
	}
	m.foot()
}

func (m *markup) residuals(r *residuals) {
	if r == nil {
		return
	}
	m.section("errors", "Residuals")
	defer m.put("</section>\n")
	if r.Problem != "" {
		m.put("<p class=\"note\">%s</p>\n", r.Problem)
		return
	}
	m.put("<div class=\"beside\">\n")
	m.draw(r.Picture)
	m.put("<div>\n")
	m.facts(r.Facts, "n")
	m.put("</div>\n</div>\n")
	m.optional("<p class=\"more\">%s</p>\n", r.Outside)
}

func (m *markup) release(rec record.Record) {
	m.section("release", "Release")
	m.put("<div class=\"wide\">\n")
	m.facts(factsOf(rec), "value")
	m.put("</div>\n")
	if len(rec.Reason) > 0 {
		m.put("<h3>Why this version</h3>\n<ul>\n")
		for _, reason := range first(rec.Reason, maxReasons) {
			m.put("<li>")
			m.optional("<code>%s</code> ", clip(reason.Commit, 12))
			m.put("%s</li>\n", said(reason.Text))
		}
		m.put("</ul>\n")
		m.optional("<p class=\"more\">%s</p>\n", more(len(rec.Reason), maxReasons, "reasons"))
	}
	m.put("</section>\n")
}
