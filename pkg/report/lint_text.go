package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gitlab.com/towline/towline/pkg/lint"
)

// LintStyle is how findings are shown on a terminal.
type LintStyle struct {
	Color bool
	Width int // columns; 100 if zero
}

// LintText writes findings for people: by file, each with its line, a mark
// under the place and what to do, and a summary at the end.
func LintText(l Lint, s LintStyle) []byte {
	if s.Width == 0 {
		s.Width = 100
	}
	p := &printer{width: s.Width, color: s.Color}
	path := ""
	for _, f := range l.Findings {
		if f.Path != path {
			path = f.Path
			p.line(clean(path), "1;4")
		}
		p.finding(f)
	}
	p.lintSummary(l)
	return []byte(p.text.String())
}

func (p *printer) finding(f lint.Finding) {
	place := strings.TrimPrefix(strings.TrimPrefix(f.Place(), f.Path), ":")
	if place != "" {
		place += "  "
	}
	name := ": "
	if !strings.HasSuffix(f.Rule, ":"+f.Name) {
		name = " " + clean(f.Name) + ": "
	}
	p.line("  "+place, "2", f.Severity.String(), severityColor(f.Severity), "  "+clean(f.Rule), "1", name+clip(f.Message, textLength), "")
	if f.Source != "" {
		p.source(f)
	}
	lead := "    = "
	for _, text := range fold(clean(f.Advice), p.width-len(lead)) {
		if text != "" {
			p.line(lead, "2", text, "36")
		}
		lead = "      "
	}
	if f.Fix != nil && !strings.Contains(f.Advice, "--fix") {
		p.line("    = ", "2", "towline lint --fix mends this", "36")
	}
	p.line("", "")
}

// mostOfSource is how many columns of a line are shown.
const mostOfSource = 120

// source shows the line, and a mark under the place.
func (p *printer) source(f lint.Finding) {
	number := f.Line
	if f.Cell > 0 {
		number = f.CellLine
	}
	text, mark := excerpt(f.Source, f.Column)
	gutter := fmt.Sprintf("%6d | ", number)
	p.line(gutter, "2", text, "")
	if mark >= 0 {
		p.line("       | ", "2", strings.Repeat(" ", mark)+"^", severityColor(f.Severity))
	}
}

// excerpt is the part of a line around a column, and the column in it; -1 if
// it is not known.
func excerpt(line string, column int) (text string, mark int) {
	mark = -1
	before, after := "", line
	if column > 0 && column-1 <= len(line) {
		before, after = line[:column-1], line[column-1:]
		mark = 0
	}
	before, after = shown(before), shown(after)
	if utf8.RuneCountInString(before)+utf8.RuneCountInString(after) <= mostOfSource {
		if mark == 0 {
			mark = columns(before)
		}
		return before + after, mark
	}
	if cut := utf8.RuneCountInString(before) - mostOfSource/2; cut > 0 {
		before = "…" + string([]rune(before)[cut:])
	}
	if mark == 0 {
		mark = columns(before)
	}
	return clip(before+after, mostOfSource), mark
}

// shown is source text on one line, with blanks for tabs.
func shown(text string) string { return clean(strings.ReplaceAll(text, "\t", "    ")) }

func severityColor(s lint.Severity) string {
	switch {
	case s >= lint.Major:
		return "31"
	case s == lint.Minor:
		return "33"
	}
	return "94" // the plain blue is hard to read on black
}

func (p *printer) lintSummary(l Lint) {
	files, fixes := map[string]bool{}, 0
	for _, f := range l.Findings {
		files[f.Path] = true
		if f.Fix != nil {
			fixes++
		}
	}
	if len(l.Findings) == 0 {
		text, color := " in "+counted(l.Files, "file"), "32"
		for _, tool := range l.Tools {
			if tool.State == "failed" {
				text, color = text+", but "+tool.Name+" failed", "33"
			}
		}
		p.line("no findings", color, text, "")
	} else {
		var parts []string
		counts := l.counts()
		for _, s := range severities() {
			if counts[s] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
			}
		}
		p.line(counted(len(l.Findings), "finding"), "1", " in "+counted(len(files), "file")+": "+strings.Join(parts, ", "), "")
	}
	p.line(p.lintFacts(l, fixes), "2")
}

// lintFacts is the closing line: how was it looked, and what was left out.
func (p *printer) lintFacts(l Lint, fixes int) string {
	facts := []string{fmt.Sprintf("profile %s", l.Profile)}
	if l.Why != "" {
		facts[0] += ": " + l.Why
	}
	facts = append(facts, fmt.Sprintf("fails on %s", l.FailOn))
	for _, tool := range l.Tools {
		if tool.State != "off" {
			facts = append(facts, strings.TrimSpace(tool.Name+" "+map[string]string{"ran": tool.Version, "absent": "absent", "failed": "failed"}[tool.State]))
		}
	}
	if l.Ignored > 0 {
		facts = append(facts, fmt.Sprintf("%d ignored by comments", l.Ignored))
	}
	if l.Known > 0 {
		facts = append(facts, fmt.Sprintf("%d in the baseline", l.Known))
	}
	if fixes > 0 {
		facts = append(facts, fmt.Sprintf("%d mended by --fix", fixes))
	}
	return strings.Join(facts, " · ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
