package report

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gitlab.com/towline/towline/pkg/lint"
)

// RuleList lists rules, one on a line.
func RuleList(rules []lint.Rule) []byte {
	var b bytes.Buffer
	for _, rule := range rules {
		fmt.Fprintf(&b, "%s  %-8s  %-32s %s\n", rule.ID, rule.Severity, rule.Name, rule.Looks)
	}
	return b.Bytes()
}

// RuleText tells all about a rule, for a terminal.
func RuleText(rule lint.Rule) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n\n", rule.ID, rule.Name)
	for _, part := range []struct{ label, text string }{
		{"severity", RuleSeverities(rule)}, {"looks at", rule.Looks}, {"why", rule.Why}, {"advice", rule.Advice},
	} {
		for i, line := range fold(part.text, 88) {
			label := ""
			if i == 0 {
				label = part.label
			}
			fmt.Fprintf(&b, "%-10s %s\n", label, line)
		}
	}
	for _, example := range []struct {
		label string
		files lint.Example
	}{{"bad", rule.Bad}, {"good", rule.Good}} {
		fmt.Fprintf(&b, "\n%s:\n", example.label)
		b.WriteString(indent(ExampleText(example.files), "    "))
	}
	return b.Bytes()
}

// RuleSeverities is how bad a rule's findings are, in each profile where it differs.
func RuleSeverities(rule lint.Rule) string {
	text := rule.Severity.String()
	for _, profile := range []lint.Profile{lint.Prototype, lint.Team, lint.Production} {
		if severity, differs := rule.In[profile]; differs {
			text += fmt.Sprintf(", %s in %s", severity, profile)
		}
	}
	return text
}

// ExampleText shows the files of an example, each under its name.
func ExampleText(e lint.Example) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(e.Files)) {
		fmt.Fprintf(&b, "-- %s --\n", name)
		for line := range strings.Lines(e.Files[name]) {
			b.WriteString(visible(strings.TrimSuffix(line, "\n")) + "\n")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Sizes)) {
		fmt.Fprintf(&b, "-- %s (%d bytes) --\n", name, e.Sizes[name])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Links)) {
		fmt.Fprintf(&b, "-- %s -> %s --\n", name, e.Links[name])
	}
	if e.At != "" {
		fmt.Fprintf(&b, "found at %s\n", e.At)
	}
	return b.String()
}

// visible shows a line of which some is not to be seen as Go would quote it.
func visible(line string) string {
	line = strings.ReplaceAll(line, "\t", "    ")
	if clean(line) == line && utf8.ValidString(line) {
		return clip(line, 200)
	}
	quoted := strconv.QuoteToASCII(line)
	return clip(quoted[1:len(quoted)-1], 200)
}

func indent(text, lead string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			b.WriteString("\n")
			continue
		}
		b.WriteString(lead + line)
	}
	return b.String()
}
