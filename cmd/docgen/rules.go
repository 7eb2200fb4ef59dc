package main

import (
	"bytes"
	"fmt"
	"strings"

	"gitlab.com/towline/towline/pkg/lint"
	"gitlab.com/towline/towline/pkg/report"
)

// families are the groups of rules, by the first digit of their IDs.
var families = []struct{ digit, title string }{
	{"1", "Repository"}, {"2", "Manifest"}, {"3", "Python"}, {"4", "SageMaker's contract"}, {"5", "Across files"},
	{"6", "Secrets"}, {"7", "GitLab CI and Airflow"}, {"8", "Dependencies and packaging"}, {"9", "The linter itself"},
}

// rulesPage is the catalogue of the linter's rules, from the rules.
func rulesPage() []byte {
	rules := lint.Catalogue()
	var b bytes.Buffer
	b.WriteString("# Rules\n\n" + generated)
	fmt.Fprintf(&b, "The %d rules of `towline lint`; [how it is used](../lint.md) is a page of its own. A rule's severity is that in the profile\n"+
		"`team`; where another profile differs, it says so. `off` means that the rule is not looked for there.\n", len(rules))
	for _, family := range families {
		in := func(rule lint.Rule) bool { return strings.HasPrefix(rule.ID, "TL"+family.digit) }
		fmt.Fprintf(&b, "\n## %s\n\n| rule | severity | looks at |\n|---|---|---|\n", family.title)
		for _, rule := range rules {
			if in(rule) {
				fmt.Fprintf(&b, "| [%s](#%s-%s) `%s` | %s | %s |\n", rule.ID, strings.ToLower(rule.ID), rule.Name, rule.Name,
					report.RuleSeverities(rule), cell(rule.Looks))
			}
		}
		for _, rule := range rules {
			if in(rule) {
				ruleSection(&b, rule)
			}
		}
	}
	return b.Bytes()
}

func ruleSection(b *bytes.Buffer, rule lint.Rule) {
	fmt.Fprintf(b, "\n### %s %s\n\nLooks at %s.\n\n", rule.ID, rule.Name, strings.TrimSuffix(rule.Looks, "."))
	fmt.Fprintf(b, "**Why:** %s.\n\n**Advice:** %s.\n", strings.TrimSuffix(rule.Why, "."), strings.TrimSuffix(rule.Advice, "."))
	fmt.Fprintf(b, "\nBad:\n\n````text\n%s````\n", report.ExampleText(rule.Bad))
	if good := report.ExampleText(rule.Good); good != "" {
		fmt.Fprintf(b, "\nGood:\n\n````text\n%s````\n", good)
	}
}
