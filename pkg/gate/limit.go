package gate

import (
	"fmt"
	"math"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
)

// ulps is how many units in the last place a value may miss its limit by, so
// that 0.94 passes when the champion has 0.945 and may_drop is 0.005, although
// their difference is no binary fraction. Subtracting two numbers is off by at
// most half a unit of the greater one, and both were rounded on being read.
const ulps = 4

// limit is one comparison that a rule asks for.
type limit struct {
	metric string
	rule   string
	number float64 // of the manifest
}

// limitsOf takes the rules apart, and refuses those that contradict themselves.
func limitsOf(rules []manifest.Rule) ([]limit, error) {
	var limits []limit
	for i, rule := range rules {
		if err := sound(rule); err != nil {
			return nil, fault.Newf(fault.Repository, "gate: rule %d: %w", i+1, err).
				Hintf("mend evaluate.gate in %s", manifest.File)
		}
		for _, l := range numbers(rule) {
			if l.number != nil {
				limits = append(limits, limit{rule.Metric, l.rule, *l.number})
			}
		}
	}
	return limits, nil
}

type number struct {
	rule   string
	number *float64
}

func numbers(r manifest.Rule) []number {
	return []number{{AtLeast, r.AtLeast}, {AtMost, r.AtMost}, {MayDrop, r.MayDrop}, {MayRise, r.MayRise}}
}

func sound(r manifest.Rule) error {
	if r.Metric == "" {
		return fmt.Errorf("found no metric, wanted its name")
	}
	if r.Better != "higher" && r.Better != "lower" {
		return fmt.Errorf("metric %s: better is %q, wanted higher or lower", plain(r.Metric), r.Better)
	}
	if r.MayDrop != nil && r.Better == "lower" {
		return fmt.Errorf("metric %s: may_drop with better: lower, wanted may_rise", plain(r.Metric))
	}
	if r.MayRise != nil && r.Better == "higher" {
		return fmt.Errorf("metric %s: may_rise with better: higher, wanted may_drop", plain(r.Metric))
	}
	for _, l := range numbers(r) {
		if l.number != nil && !finite(*l.number) {
			return fmt.Errorf("metric %s: %s is %g, wanted a finite number", plain(r.Metric), l.rule, *l.number)
		}
	}
	return nil
}

// against says that the limit moves with the champion.
func (l limit) against() bool { return l.rule == MayDrop || l.rule == MayRise }

// floor says that the candidate must not be below the limit, rather than above it.
func (l limit) floor() bool { return l.rule == AtLeast || l.rule == MayDrop }

// check holds the candidate against the limit.
func (l limit) check(candidate record.Evaluation, r rival) record.Check {
	check := record.Check{Metric: l.metric, Rule: l.rule}
	champion, whyNot := 0.0, ""
	if l.against() {
		champion, whyNot = r.metric(l.metric)
	}
	if whyNot == "" {
		check.Limit = l.held(champion)
		if l.against() {
			check.Champion = &champion
		}
	}
	value, found := candidate.Metrics[l.metric]
	if found && finite(value) {
		check.Candidate = &value
	}
	switch {
	case !found:
		check.Status, check.Text = Failed, missing(l.metric, candidate.Metrics)
		return check
	case !finite(value):
		check.Status, check.Text = Failed, unfit(l.metric, value, candidate.Metrics)
		return check
	case whyNot != "":
		check.Status, check.Text = Skipped, fmt.Sprintf("%s %s: not compared: %s", plain(l.metric), Number(value), whyNot)
		return check
	}
	check.Status = Failed
	if l.holds(value, champion) {
		check.Status = Passed
	}
	check.Text = l.text(value, check)
	return check
}

// held is the number that the candidate is held against.
func (l limit) held(champion float64) float64 {
	switch l.rule {
	case MayDrop:
		return within(champion - l.number)
	case MayRise:
		return within(champion + l.number)
	}
	return l.number
}

// holds compares with a slack of a few units in the last place of the numbers
// that made the limit. The slack does not depend on the value, so a better
// value never fails where a worse one passed.
func (l limit) holds(value, champion float64) bool {
	greatest := max(math.Abs(l.number), math.Abs(champion))
	slack := ulps * (math.Nextafter(greatest, math.Inf(1)) - greatest)
	if !finite(slack) {
		slack = 0
	}
	if l.floor() {
		return value >= l.held(champion)-slack
	}
	return value <= l.held(champion)+slack
}

// within keeps a limit that overflowed a number that JSON can hold.
func within(v float64) float64 {
	if math.IsInf(v, 0) {
		return math.Copysign(math.MaxFloat64, v)
	}
	return v
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// text says how the value stands to the limit.
func (l limit) text(value float64, check record.Check) string {
	held := check.Limit
	shown, limit := Number(value), Number(held)
	relation := "is below"
	if value > held {
		relation = "is above"
	}
	if shown == limit && check.Status == Passed {
		relation = "meets"
	} else if shown == limit {
		shown, limit = exact(value), exact(held)
	}
	text := fmt.Sprintf("%s %s %s %s", plain(l.metric), shown, relation, limit)
	if check.Champion == nil {
		return text
	}
	verb := "may drop"
	if l.rule == MayRise {
		verb = "may rise"
	}
	return fmt.Sprintf("%s (champion %s, %s %s)", text, Number(*check.Champion), verb, Number(l.number))
}
