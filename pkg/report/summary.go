package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"gitlab.com/towline/towline/pkg/record"
)

// Style is how the closing lines of a run look, and what they say beyond the
// record.
type Style struct {
	Width      int      // columns, 80 if 0
	Color      bool     // the writer is a terminal that wants colours
	Prediction string   // what the endpoint answered
	Report     string   // path of the page
	Next       []string // commands worth typing next; the usual ones if nil
}

const (
	labelColumn = 12 // where values begin
	ownIndent   = 4  // of a value that is too long to stand beside its label
)

// Summary writes what a run came to: the release, its stages, the verdict with
// every check, the endpoint's answer, and where to look next. No line is
// longer than the width.
func Summary(w io.Writer, rec record.Record, s Style) {
	p := printer{width: max(cmp.Or(s.Width, 80), 40), color: s.Color}
	p.title(rec)
	p.field("version", versionText(rec.Version))
	if i := rec.Image; i != nil {
		p.field("image", list(i.Repository, i.Platform, prefixed("python ", i.Python), bytesOf(i.Size)))
		p.field("", i.Digest)
	}
	if t := rec.Training; t != nil {
		p.field("training", t.Job)
	}
	p.field("metrics", metricsText(rec))
	p.verdict(rec)
	p.endpoint(rec)
	p.field("prediction", clip(s.Prediction, 2*(p.width-labelColumn)))
	p.field("report", s.Report)
	for i, command := range next(rec, s) {
		p.field(map[bool]string{true: "next"}[i == 0], command)
	}
	_, _ = io.WriteString(w, p.text.String()) // the last words: nobody is left to be told
}

func versionText(v record.Version) string {
	text := v.Version
	if v.Base == "" && v.Version != "" {
		text += " (the first)"
	} else if v.Base != "" && v.Base != v.Version {
		text += " (after " + v.Base + prefixed(", ", v.Bump) + ")"
	}
	return list(text, prefixed("candidate ", v.Candidate))
}

func metricsText(rec record.Record) string {
	const shown = 8
	var parts []string
	metrics := metricsOf(rec)
	for _, m := range first(metrics, shown) {
		parts = append(parts, clip(name(m.Name), 30)+" "+number(m.Value))
	}
	if left := more(len(metrics), shown, "metrics"); left != "" {
		parts = append(parts, left)
	}
	return strings.Join(parts, ", ")
}

// next are the commands that show more.
func next(rec record.Record, s Style) []string {
	if s.Next != nil {
		return s.Next
	}
	if rec.Endpoint == nil {
		return []string{"towline status"}
	}
	return []string{"towline invoke", "towline status"}
}

// list joins the texts that are not empty.
func list(texts ...string) string {
	var some []string
	for _, text := range texts {
		if text != "" {
			some = append(some, text)
		}
	}
	return strings.Join(some, ", ")
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// printer lays out labels and values.
type printer struct {
	text  strings.Builder
	width int
	color bool
}

func (p *printer) title(rec record.Record) {
	words := name(rec.Model) + " " + clip(rec.Name(), nameLength)
	state := outcome(rec)
	if state == "passed unjudged" {
		state = "passed, nothing was checked"
	}
	p.line(clip(words, p.width-len(state)-2)+"  ", "1", state, colorOf(state))
}

// verdict writes the decision and each check on lines of its own.
func (p *printer) verdict(rec record.Record) {
	if rec.Verdict == nil {
		return
	}
	v := *rec.Verdict
	decision := map[bool]string{true: "passed", false: "refused"}[v.Passed]
	p.field("gate", list(decision, prefixed("champion ", v.Champion)))
	for i, check := range v.Checks {
		if i == 20 {
			p.wrapped(ownIndent, more(len(v.Checks), i, "checks in the report"), "")
			break
		}
		p.check(check)
	}
	if v.Note != "" {
		p.wrapped(ownIndent, "note: "+said(v.Note), "33")
	}
}

func (p *printer) check(check record.Check) {
	status := fmt.Sprintf("%-7s ", clip(check.Status, 7))
	width := p.width - labelColumn
	for i, text := range fold(said(check.Text), width) {
		text = clip(text, width)
		if i == 0 {
			p.line(strings.Repeat(" ", ownIndent), "", status, colorOf(check.Status), text)
			continue
		}
		p.line(strings.Repeat(" ", labelColumn), "", text, "")
	}
}

func (p *printer) endpoint(rec record.Record) {
	switch {
	case rec.Endpoint != nil:
		p.field("endpoint", list(rec.Endpoint.Name, prefixed("environment ", rec.Endpoint.Environment)))
	case rec.Verdict != nil && !rec.Verdict.Passed && rec.Verdict.Champion != "":
		p.field("endpoint", "unchanged: champion "+rec.Verdict.Champion+" serves on")
	}
}

// field writes a label and its value; a word that does not fit beside the
// label stands on a line of its own.
func (p *printer) field(label, value string) {
	value = strings.TrimSpace(clip(value, textLength))
	if value == "" {
		return
	}
	lines := fold(value, p.width-labelColumn)
	indent := labelColumn
	for _, text := range lines {
		if columns(text) > p.width-labelColumn {
			indent = ownIndent
		}
	}
	if indent == ownIndent {
		lines = fold(value, p.width-ownIndent)
	}
	for i, text := range lines {
		lead := strings.Repeat(" ", indent)
		if i == 0 && label != "" && indent == labelColumn {
			lead = fmt.Sprintf("%-*s", labelColumn, label)
		} else if i == 0 && label != "" {
			p.line(label, "2", "", "")
		}
		p.line(lead, "2", clip(text, p.width-indent), "")
	}
}

// wrapped writes a text under the values.
func (p *printer) wrapped(indent int, text, color string) {
	for _, line := range fold(text, p.width-indent) {
		p.line(strings.Repeat(" ", indent), "", clip(line, p.width-indent), color)
	}
}

// line writes texts, each followed by its colour; the last may go without.
func (p *printer) line(texts ...string) {
	var line strings.Builder
	for i := 0; i < len(texts); i += 2 {
		color := ""
		if i+1 < len(texts) {
			color = texts[i+1]
		}
		if p.color && color != "" && strings.TrimSpace(texts[i]) != "" {
			line.WriteString("\x1b[" + color + "m" + texts[i] + "\x1b[0m")
			continue
		}
		line.WriteString(texts[i])
	}
	p.text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

func colorOf(state string) string {
	switch state {
	case "passed":
		return "32"
	case "failed", "refused":
		return "31"
	}
	return "33"
}

// fold breaks a text that is too wide at its spaces. Only words that are
// longer by themselves stay wider. A text that fits stays as it is.
func fold(text string, width int) []string {
	if columns(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case columns(line)+1+columns(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// columns is how wide a text stands: letters of East Asian scripts and
// pictures take two columns.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n++
		if r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 ||
			r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0x1f300) {
			n++
		}
	}
	return n
}
