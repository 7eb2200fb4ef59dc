package gate_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gate"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
)

const (
	data  = "aaaaaaaaaaaabbbbbbbbbbbbcccccccccccc"
	other = "ddddddddddddeeeeeeeeeeeeffffffffffff"
)

// p is an optional number of a rule.
func p(v float64) *float64 { return &v }

func scored(testData string, metrics map[string]float64) record.Evaluation {
	return record.Evaluation{Metrics: metrics, TestData: testData}
}

func f1(v float64) map[string]float64 { return map[string]float64{"f1": v} }

// champion is a release called 1.2.0 that scored this.
func champion(e record.Evaluation) *record.Record {
	return &record.Record{Version: record.Version{Version: "1.2.0"}, Evaluation: &e}
}

func atLeast(v float64) manifest.Rule {
	return manifest.Rule{Metric: "f1", Better: "higher", AtLeast: p(v)}
}

func mayDrop(v float64) manifest.Rule {
	return manifest.Rule{Metric: "f1", Better: "higher", MayDrop: p(v)}
}

func TestJudge(t *testing.T) {
	loss := func(rule manifest.Rule) []manifest.Rule {
		rule.Metric, rule.Better = "loss", "lower"
		return []manifest.Rule{rule}
	}
	for _, tt := range []struct {
		name      string
		rules     []manifest.Rule
		candidate record.Evaluation
		champion  *record.Record
		passed    bool
		statuses  string // of the checks, in order
		note      string // a part of it
	}{
		{"a metric above its floor passes", []manifest.Rule{atLeast(0.8)}, scored(data, f1(0.9)), champion(scored(data, f1(0.85))),
			true, "passed", ""},
		{"a metric on its floor passes", []manifest.Rule{atLeast(0.8)}, scored(data, f1(0.8)), champion(scored(data, f1(0.85))),
			true, "passed", ""},
		{"a metric below its floor fails", []manifest.Rule{atLeast(0.8)}, scored(data, f1(0.79999)), nil,
			false, "failed", "no champion yet"},
		{"a metric on its ceiling passes", loss(manifest.Rule{AtMost: p(0.1)}), scored(data, map[string]float64{"loss": 0.1}), nil,
			true, "passed", "no champion yet: only absolute limits decide"},
		{"a metric above its ceiling fails", loss(manifest.Rule{AtMost: p(0.1)}), scored(data, map[string]float64{"loss": 0.11}), nil,
			false, "failed", "no champion yet"},
		{"a drop within the tolerance passes", []manifest.Rule{mayDrop(0.01)}, scored(data, f1(0.94)), champion(scored(data, f1(0.945))),
			true, "passed", ""},
		{"a drop of exactly the tolerance passes in spite of binary fractions", []manifest.Rule{mayDrop(0.005)}, scored(data, f1(0.94)),
			champion(scored(data, f1(0.945))), true, "passed", ""},
		{"a drop beyond the tolerance fails", []manifest.Rule{mayDrop(0.005)}, scored(data, f1(0.9399999)), champion(scored(data, f1(0.945))),
			false, "failed", ""},
		{"a drop of nothing may mean equal", []manifest.Rule{mayDrop(0)}, scored(data, f1(0.945)), champion(scored(data, f1(0.945))),
			true, "passed", "scored exactly what the champion 1.2.0 scored"},
		{"a rise within the tolerance passes", loss(manifest.Rule{MayRise: p(0.1)}), scored(data, map[string]float64{"loss": 0.3}),
			champion(scored(data, map[string]float64{"loss": 0.2})), true, "passed", ""},
		{"a rise beyond the tolerance fails", loss(manifest.Rule{MayRise: p(0.1)}), scored(data, map[string]float64{"loss": 0.31}),
			champion(scored(data, map[string]float64{"loss": 0.2})), false, "failed", ""},
		{"a negative score is compared by difference, not by ratio", []manifest.Rule{mayDrop(0.1)}, scored(data, f1(-0.4)),
			champion(scored(data, f1(-0.2))), false, "failed", ""},
		{"a missing metric fails", []manifest.Rule{atLeast(0.8)}, scored(data, map[string]float64{"auc": 1}), nil,
			false, "failed", "no champion yet"},
		{"a metric that is NaN fails", []manifest.Rule{atLeast(0.8)}, scored(data, f1(math.NaN())), nil,
			false, "failed", "no champion yet"},
		{"an infinite metric fails, on the good side too", []manifest.Rule{atLeast(0.8)}, scored(data, f1(math.Inf(1))), nil,
			false, "failed", "no champion yet"},
		{"a missing metric fails even where it could not be compared", []manifest.Rule{mayDrop(0.1)}, scored(data, nil), nil,
			false, "failed", "no champion yet"},
		{"a first model is held against absolute limits only", []manifest.Rule{{Metric: "f1", Better: "higher", AtLeast: p(0.8), MayDrop: p(0.1)}},
			scored(data, f1(0.9)), nil, true, "passed skipped", "no champion yet: only absolute limits decide"},
		{"a first model without an absolute limit passes, and the note says that nothing is known", []manifest.Rule{mayDrop(0.1)},
			scored(data, f1(0.1)), nil, true, "skipped", "no check could be made, so nothing is known"},
		{"other test data are not compared", []manifest.Rule{{Metric: "f1", Better: "higher", AtLeast: p(0.8), MayDrop: p(0.01)}},
			scored(data, f1(0.85)), champion(scored(other, f1(0.99))), true, "passed skipped",
			"the champion 1.2.0 was measured on other test data (dddddddddddd… vs aaaaaaaaaaaa…): not compared; only absolute limits decide"},
		{"other test data and no absolute limit refuse", []manifest.Rule{mayDrop(0.01)}, scored(data, f1(0.999)), champion(scored(other, f1(0.9))),
			false, "skipped", "no check could be made"},
		{"test data that nobody noted are not the same", []manifest.Rule{atLeast(0.8), mayDrop(0.01)}, scored("", f1(0.9)), champion(scored("", f1(0.9))),
			true, "passed skipped", "not known on which test data the candidate was measured"},
		{"a champion without noted test data is not compared", []manifest.Rule{atLeast(0.8), mayDrop(0.01)}, scored(data, f1(0.9)),
			champion(scored("", f1(0.95))), true, "passed skipped", "not known on which test data the champion 1.2.0"},
		{"a champion without an evaluation is not compared", []manifest.Rule{atLeast(0.8), mayDrop(0.01)}, scored(data, f1(0.9)),
			&record.Record{Version: record.Version{Candidate: "1.2.0-dev.1"}}, true, "passed skipped",
			"the record of the champion 1.2.0-dev.1 has no evaluation"},
		{"a metric that the champion lacks is not compared", []manifest.Rule{atLeast(0.8), mayDrop(0.01)}, scored(data, f1(0.9)),
			champion(scored(data, map[string]float64{"auc": 0.9})), true, "passed skipped", "the champion 1.2.0 has no metric f1: not compared"},
		{"a champion's NaN is not compared", []manifest.Rule{atLeast(0.8), mayDrop(0.01)}, scored(data, f1(0.9)),
			champion(scored(data, f1(math.NaN()))), true, "passed skipped", "the f1 of the champion 1.2.0 is NaN: not compared"},
		{"no rules let everything pass, and the note says so", nil, scored(data, nil), champion(scored(data, f1(0.9))),
			true, "", "nothing was asked"},
		{"a rule without a limit asks nothing", []manifest.Rule{{Metric: "f1", Better: "higher"}}, scored(data, f1(0.1)), nil,
			true, "", "nothing was asked"},
		{"one failure among many refuses", []manifest.Rule{atLeast(0.5), atLeast(0.95), mayDrop(0.1)}, scored(data, f1(0.9)),
			champion(scored(data, f1(0.8))), false, "passed failed passed", ""},
		{"a champion without a name still is one", []manifest.Rule{mayDrop(0)}, scored(data, f1(0.8)),
			&record.Record{Identity: "0123456789abcdef", Evaluation: &record.Evaluation{Metrics: f1(0.9), TestData: data}}, false, "failed", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			verdict, err := gate.Judge(tt.rules, tt.candidate, tt.champion)
			if verdict.Passed != tt.passed || statuses(verdict) != tt.statuses {
				t.Errorf("Judge() = passed %v, checks %q, want %v, %q\n%+v", verdict.Passed, statuses(verdict), tt.passed, tt.statuses, verdict)
			}
			if !strings.Contains(verdict.Note, tt.note) || (tt.note == "" && verdict.Note != "") {
				t.Errorf("note is %q, want %q in it", verdict.Note, tt.note)
			}
			if refused := err != nil && fault.KindOf(err) == fault.Refused; refused == tt.passed {
				t.Errorf("Judge() error = %v for a verdict that passed: %v", err, tt.passed)
			}
		})
	}
}

func statuses(v record.Verdict) string {
	var all []string
	for _, check := range v.Checks {
		all = append(all, check.Status)
	}
	return strings.Join(all, " ")
}

func TestAVerdictSaysEveryComparison(t *testing.T) {
	rules := []manifest.Rule{
		{Metric: "f1", Better: "higher", AtLeast: p(0.75), MayDrop: p(0.25)},
		{Metric: "loss", Better: "lower", AtMost: p(2), MayRise: p(0.5)},
	}
	got, err := gate.Judge(rules,
		scored(data, map[string]float64{"f1": 0.5, "loss": 1.5}),
		champion(scored(data, map[string]float64{"f1": 1, "loss": 1})))
	want := record.Verdict{Champion: "1.2.0", Checks: []record.Check{
		{Metric: "f1", Rule: "at_least", Candidate: p(0.5), Limit: 0.75, Status: "failed", Text: "f1 0.5 is below 0.75"},
		{Metric: "f1", Rule: "may_drop", Candidate: p(0.5), Champion: p(1), Limit: 0.75, Status: "failed",
			Text: "f1 0.5 is below 0.75 (champion 1, may drop 0.25)"},
		{Metric: "loss", Rule: "at_most", Candidate: p(1.5), Limit: 2, Status: "passed", Text: "loss 1.5 is below 2"},
		{Metric: "loss", Rule: "may_rise", Candidate: p(1.5), Champion: p(1), Limit: 1.5, Status: "passed",
			Text: "loss 1.5 meets 1.5 (champion 1, may rise 0.5)"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Judge() (-want +got):\n%s", diff)
	}
	if want := "gate: 2 of 4 checks failed"; err == nil || err.Error() != want {
		t.Errorf("Judge() error = %v, want %s", err, want)
	}
	if diff := cmp.Diff([]string{want.Checks[0].Text, want.Checks[1].Text}, fault.DetailsOf(err)); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

func TestAVerdictSaysThatTheChampionWasEvaluatedAgain(t *testing.T) {
	again := scored(data, f1(0.9))
	again.Job = "shop-risk-eval-1"
	got, err := gate.Judge([]manifest.Rule{mayDrop(0.01)}, scored(data, f1(0.95)), champion(again))
	want := "the champion 1.2.0 was evaluated again on the candidate's test data, by shop-risk-eval-1"
	if err != nil || got.Again != "shop-risk-eval-1" || got.Note != want || !got.Passed {
		t.Errorf("Judge() = %+v, %v, want it to pass with the note %q", got, err, want)
	}
}

func TestTextsOfMetricsThatCannotBeJudged(t *testing.T) {
	many := map[string]float64{}
	for r := 'a'; r <= 'z'; r++ {
		many["m_"+string(r)] = 1
	}
	for _, tt := range []struct {
		name    string
		metrics map[string]float64
		want    string
	}{
		{"it says which metrics there are", map[string]float64{"auc": 1, "acc": 1}, "the evaluation has no metric f1; it has acc, auc"},
		{"it says that there are none", nil, "the evaluation has no metric f1; it has none at all"},
		{"it does not list hundreds", many,
			"the evaluation has no metric f1; it has m_a, m_b, m_c, m_d, m_e, m_f, m_g, m_h, m_i, m_j, m_k, m_l, and 14 more"},
		{"it names NaN", f1(math.NaN()), "f1 is NaN, wanted a finite number; it has f1"},
		{"a name cannot move the cursor", map[string]float64{"\x1b[2J": 1}, "the evaluation has no metric f1; it has \ufffd[2J"},
		{"a name cannot flood the terminal", map[string]float64{strings.Repeat("x", 9999): 1},
			"the evaluation has no metric f1; it has " + strings.Repeat("x", 59) + "…"},
		{"two numbers that look alike are shown in full", f1(0.79999999), "f1 0.79999999 is below 0.8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			verdict, _ := gate.Judge([]manifest.Rule{atLeast(0.8)}, scored(data, tt.metrics), nil)
			if got := verdict.Checks[0].Text; got != tt.want {
				t.Errorf("text is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRulesThatMakeNoSense(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule manifest.Rule
		want string
	}{
		{"no metric", manifest.Rule{Better: "higher"}, "gate: rule 1: found no metric, wanted its name"},
		{"no direction", manifest.Rule{Metric: "f1"}, `gate: rule 1: metric f1: better is "", wanted higher or lower`},
		{"a drop of what should be low", manifest.Rule{Metric: "f1", Better: "lower", MayDrop: p(1)},
			"gate: rule 1: metric f1: may_drop with better: lower, wanted may_rise"},
		{"a rise of what should be high", manifest.Rule{Metric: "f1", Better: "higher", MayRise: p(1)},
			"gate: rule 1: metric f1: may_rise with better: higher, wanted may_drop"},
		{"a limit that is no number", manifest.Rule{Metric: "f1", Better: "higher", AtLeast: p(math.NaN())},
			"gate: rule 1: metric f1: at_least is NaN, wanted a finite number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := gate.Judge([]manifest.Rule{tt.rule}, scored(data, f1(1)), nil)
			if err == nil || err.Error() != tt.want || fault.KindOf(err) != fault.Repository {
				t.Errorf("Judge() error = %v (%v), want %s", err, fault.KindOf(err), tt.want)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	got, err := gate.Decode(`{"metrics":{"f1":0.5},"test_data":"abc"}`)
	if diff := cmp.Diff(scored("abc", f1(0.5)), got); diff != "" || err != nil {
		t.Errorf("Decode() error %v (-want +got):\n%s", err, diff)
	}
	if _, err := gate.Decode(`{"metrics":{"f1":NaN}}`); fault.KindOf(err) != fault.Repository {
		t.Errorf("Decode(NaN) error = %v, want a fault of the repository", err)
	}
}
