package report

import (
	"fmt"
	"strings"

	"gitlab.com/towline/towline/pkg/record"
)

// maxMatrix is the number of classes whose confusion matrix fits in a note.
const maxMatrix = 8

// Markdown writes what a merge request's reader wants to know: the verdict and
// every check, the metrics, and where the model came from. Names that the
// model's code wrote stand in code spans, where they mention and link nothing.
func Markdown(rec record.Record) string {
	var text strings.Builder
	fmt.Fprintf(&text, "### %s %s: %s\n\n", code(name(rec.Model)), code(clip(rec.Name(), nameLength)), headline(rec))
	if rec.Verdict != nil {
		if rec.Verdict.Note != "" {
			fmt.Fprintf(&text, "> %s\n\n", escape(said(rec.Verdict.Note)))
		}
		markdownChecks(&text, rec.Verdict.Checks)
	}
	markdownMetrics(&text, rec)
	markdownConfusion(&text, confusionOf(rec))
	markdownResiduals(&text, residualsOf(rec))
	markdownFacts(&text, rec)
	return text.String()
}

func headline(rec record.Record) string {
	switch outcome(rec) {
	case "passed":
		return "✅ passed the gate"
	case "refused":
		return "❌ refused by the gate"
	case "passed unjudged":
		return "⚠️ passed, but nothing was checked"
	}
	return "not judged"
}

func markdownChecks(text *strings.Builder, checks []record.Check) {
	if len(checks) == 0 {
		return
	}
	text.WriteString("| | metric | rule | candidate | champion | limit |\n|---|---|---|---:|---:|---:|\n")
	for _, check := range first(checks, maxChecks) {
		sign := map[string]string{"✓": "✅", "✗": "❌", "–": "⚪"}[mark(check.Status)]
		fmt.Fprintf(text, "| %s %s | %s | %s | %s | %s | %s |\n",
			sign, escape(clip(check.Status, nameLength)), code(name(check.Metric)), escape(ruleText(check.Rule)),
			optional(check.Candidate), optional(check.Champion), limitText(check))
	}
	text.WriteString("\n")
	for _, check := range first(checks, maxChecks) {
		if check.Status == "failed" {
			fmt.Fprintf(text, "- %s\n", escape(said(check.Text)))
		}
	}
	if left := more(len(checks), maxChecks, "checks"); left != "" {
		fmt.Fprintf(text, "- %s\n", left)
	}
	text.WriteString("\n")
}

func markdownMetrics(text *strings.Builder, rec record.Record) {
	metrics := metricsOf(rec)
	if len(metrics) == 0 {
		return
	}
	text.WriteString("<details><summary>Metrics</summary>\n\n| metric | candidate | champion |\n|---|---:|---:|\n")
	for _, m := range first(metrics, maxMetrics) {
		fmt.Fprintf(text, "| %s | %s | %s |\n", code(name(m.Name)), number(m.Value), optional(m.Champion))
	}
	if left := more(len(metrics), maxMetrics, "metrics"); left != "" {
		fmt.Fprintf(text, "\n%s\n", left)
	}
	text.WriteString("\n</details>\n\n")
}

func markdownConfusion(text *strings.Builder, c *confusion) {
	if c == nil {
		return
	}
	text.WriteString("<details><summary>Confusion matrix</summary>\n\n")
	if c.Problem != "" {
		fmt.Fprintf(text, "%s\n\n</details>\n\n", escape(c.Problem))
		return
	}
	fmt.Fprintf(text, "%s\n\n", c.summary())
	if c.Classes <= maxMatrix {
		c.markdownMatrix(text)
	} else {
		c.markdownMistakes(text)
	}
	text.WriteString("\n</details>\n\n")
}

func (c *confusion) markdownMatrix(text *strings.Builder) {
	text.WriteString("| observed ↓ called → |")
	for _, label := range c.labels {
		fmt.Fprintf(text, " %s |", code(name(label)))
	}
	text.WriteString("\n|---|" + strings.Repeat("---:|", c.Classes) + "\n")
	for i, row := range c.matrix {
		fmt.Fprintf(text, "| %s |", code(name(c.labels[i])))
		for _, n := range row {
			fmt.Fprintf(text, " %d (%s) |", n, percent(share(n, total(row))))
		}
		text.WriteString("\n")
	}
}

func (c *confusion) markdownMistakes(text *strings.Builder) {
	if len(c.Mistakes) == 0 {
		text.WriteString("No mistakes.\n")
		return
	}
	text.WriteString("| observed | called | rows | share |\n|---|---|---:|---:|\n")
	for _, m := range c.Mistakes {
		fmt.Fprintf(text, "| %s | %s | %d | %s |\n", code(m.Observed), code(m.Called), m.Count, percent(m.Share))
	}
}

func markdownResiduals(text *strings.Builder, r *residuals) {
	if r == nil {
		return
	}
	text.WriteString("<details><summary>Residuals</summary>\n\n")
	if r.Problem != "" {
		fmt.Fprintf(text, "%s\n\n</details>\n\n", escape(r.Problem))
		return
	}
	text.WriteString("| observed minus predicted | |\n|---|---:|\n")
	for _, f := range r.Facts {
		fmt.Fprintf(text, "| %s | %s |\n", f.Name, f.Text)
	}
	text.WriteString("\n</details>\n\n")
}

func markdownFacts(text *strings.Builder, rec record.Record) {
	text.WriteString("<details><summary>Release</summary>\n\n| | |\n|---|---|\n")
	for _, f := range factsOf(rec) {
		fmt.Fprintf(text, "| %s | %s |\n", escape(f.Name), code(f.Text))
	}
	text.WriteString("\n</details>\n")
}

// code is a code span, also within a table.
func code(text string) string {
	return "`" + strings.NewReplacer("`", "'", "|", `\|`).Replace(text) + "`"
}

// escape takes the meaning from every character that Markdown, HTML or
// GitLab's references give one.
func escape(text string) string {
	var escaped strings.Builder
	for _, r := range strings.ReplaceAll(text, "`", "'") {
		if strings.ContainsRune("\\*_[]<>#!|~@&$%^:{}", r) {
			escaped.WriteByte('\\')
		}
		escaped.WriteRune(r)
	}
	return escaped.String()
}
