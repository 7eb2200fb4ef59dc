// Package report tells people, and GitLab, what became of a release.
//
// In comes a release record or a part of it; out come bytes: Markdown for a
// merge request, a self-contained HTML page, OpenMetrics and JUnit for GitLab's
// reports, and the closing lines of a run for a terminal. The same record
// always gives the same bytes, and a hostile or huge one gives harmless and
// bounded ones. It never decides, measures or sends anything, and writes to
// nothing but the writer it is given.
package report

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"gitlab.com/towline/towline/pkg/record"
)

// Bounds of what is shown. Names come from files that the model's code wrote.
const (
	nameLength = 60  // runes of a metric's or class's name
	textLength = 600 // runes of a sentence
	maxChecks  = 200
	maxMetrics = 100 // rows of a table
	maxBars    = 24  // bars of a picture
	maxReasons = 20
	maxFacts   = 50 // hyperparameters, channels
)

// metric is one number that the candidate scored, with what it was held against.
type metric struct {
	Name     string
	Value    float64
	Champion *float64
	Checks   []record.Check
}

// metricsOf lists the metrics: those that were judged first, in the order of
// the rules, then the others by name.
func metricsOf(rec record.Record) []metric {
	if rec.Evaluation == nil {
		return nil
	}
	var list []metric
	place := map[string]int{}
	if rec.Verdict != nil {
		for _, check := range rec.Verdict.Checks {
			value, scored := rec.Evaluation.Metrics[check.Metric]
			if !scored {
				continue
			}
			i, listed := place[check.Metric]
			if !listed {
				i, place[check.Metric] = len(list), len(list)
				list = append(list, metric{Name: check.Metric, Value: value})
			}
			list[i].Checks = append(list[i].Checks, check)
			if check.Champion != nil {
				list[i].Champion = check.Champion
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rec.Evaluation.Metrics)) {
		if _, listed := place[name]; !listed {
			list = append(list, metric{Name: name, Value: rec.Evaluation.Metrics[name]})
		}
	}
	return list
}

// outcome is the state of a release in one word.
func outcome(rec record.Record) string {
	switch {
	case rec.Verdict == nil:
		return "not judged"
	case !rec.Verdict.Passed:
		return "refused"
	case judged(*rec.Verdict) == 0:
		return "passed unjudged"
	}
	return "passed"
}

// judged counts the checks that could be made.
func judged(v record.Verdict) int {
	n := 0
	for _, check := range v.Checks {
		if check.Status != "skipped" {
			n++
		}
	}
	return n
}

// hasLimit says whether the check's limit is a number it was held against,
// and not the zero of a comparison that could not be made.
func hasLimit(c record.Check) bool {
	return c.Champion != nil || c.Rule == "at_least" || c.Rule == "at_most"
}

// limitText is the limit in words, such as "≥ 0.8".
func limitText(c record.Check) string {
	if !hasLimit(c) {
		return "–"
	}
	if c.Rule == "at_most" || c.Rule == "may_rise" {
		return "≤ " + number(c.Limit)
	}
	return "≥ " + number(c.Limit)
}

// ruleText is the rule in words.
func ruleText(rule string) string {
	switch rule {
	case "at_least":
		return "at least"
	case "at_most":
		return "at most"
	case "may_drop":
		return "against champion"
	case "may_rise":
		return "against champion"
	}
	return clip(rule, nameLength)
}

// optional is a number that may be unknown.
func optional(v *float64) string {
	if v == nil {
		return "–"
	}
	return number(*v)
}

// more says how many were left out, or "".
func more(total, shown int, what string) string {
	if total <= shown {
		return ""
	}
	return fmt.Sprintf("… and %d more %s", total-shown, what)
}

// first is the list, cut to n.
func first[T any](list []T, n int) []T { return list[:min(len(list), n)] }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
