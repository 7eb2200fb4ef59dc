// Package gate decides whether a candidate may take the champion's place.
//
// In come the rules of the manifest, what the candidate scored, and the
// champion's record; out goes a verdict with every comparison that led to it.
// It never trains, reads or measures anything, and never asks who may overrule it.
//
// How it decides:
//   - Every limit of every rule is one check. at_least and at_most hold the
//     candidate against a number of the manifest; may_drop and may_rise hold it
//     against the champion's metric, less or plus the tolerance.
//   - A metric that is missing, NaN or infinite fails, whatever the limit.
//   - Champion and candidate are compared only if both were measured on the
//     same test data; the note says so where that took another evaluation of
//     the champion. Otherwise the check is skipped, and the note says why.
//   - The candidate passes if no check failed. Where a champion serves, it must
//     also have been held against at least one limit: a candidate that nothing
//     could judge does not replace a model that works. A first model passes
//     without one, and a gate without rules lets everything pass; the note says so.
package gate

import (
	"encoding/json"
	"fmt"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
)

// The states of a check.
const (
	Passed  = "passed"
	Failed  = "failed"
	Skipped = "skipped"
)

// The rules of a check: the keys of the manifest.
const (
	AtLeast = "at_least"
	AtMost  = "at_most"
	MayDrop = "may_drop"
	MayRise = "may_rise"
)

// Judge holds the candidate against every rule. A verdict that does not let
// the candidate pass comes with an error of the kind fault.Refused, which
// lists what failed; rules that make no sense are fault.Repository.
func Judge(rules []manifest.Rule, candidate record.Evaluation, champion *record.Record) (record.Verdict, error) {
	limits, err := limitsOf(rules)
	if err != nil {
		return record.Verdict{}, err
	}
	rival := rivalOf(champion, candidate)
	verdict := record.Verdict{Champion: rival.name, Again: rival.again, Checks: []record.Check{}}
	for _, l := range limits {
		verdict.Checks = append(verdict.Checks, l.check(candidate, rival))
	}
	verdict.Passed = passes(verdict.Checks, rival)
	verdict.Note = note(verdict, rival)
	return verdict, refusal(verdict)
}

// Decode reads an evaluation that was handed on as JSON.
func Decode(evaluationJSON string) (record.Evaluation, error) {
	var evaluation record.Evaluation
	if err := json.Unmarshal([]byte(evaluationJSON), &evaluation); err != nil {
		return record.Evaluation{}, fault.Newf(fault.Repository, "read the evaluation: %w", err).
			Hintf("write it as {\"metrics\": {\"f1\": 0.97}}, with plain numbers")
	}
	return evaluation, nil
}

// passes is the decision itself.
func passes(checks []record.Check, r rival) bool {
	if count(checks, Failed) > 0 {
		return false
	}
	return r.name == "" || len(checks) == 0 || count(checks, Passed) > 0
}

// refusal is the error of a verdict that does not let the candidate pass.
func refusal(v record.Verdict) error {
	if v.Passed {
		return nil
	}
	failed := count(v.Checks, Failed)
	if failed == 0 {
		return fault.Newf(fault.Refused, "gate: none of the %s could be made", checks(len(v.Checks))).
			With(v.Note).
			Hintf("add at_least or at_most to evaluate.gate in %s, so that something can be held against the candidate", manifest.File)
	}
	var texts []string
	for _, check := range v.Checks {
		if check.Status == Failed {
			texts = append(texts, check.Text)
		}
	}
	return fault.Newf(fault.Refused, "gate: %d of %s failed", failed, checks(len(v.Checks))).With(texts...).
		Hintf("improve the model, or change evaluate.gate in %s if the limit is wrong", manifest.File)
}

func count(checks []record.Check, status string) int {
	n := 0
	for _, check := range checks {
		if check.Status == status {
			n++
		}
	}
	return n
}

func checks(n int) string {
	if n == 1 {
		return "1 check"
	}
	return fmt.Sprintf("%d checks", n)
}
