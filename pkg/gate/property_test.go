package gate_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"gitlab.com/towline/towline/pkg/gate"
	"gitlab.com/towline/towline/pkg/manifest"
)

// question is a random case of one metric.
type question struct {
	rule     manifest.Rule
	value    float64
	champion float64
}

// score is a number of any size, or one that sits on others by a hair.
func score(r *rand.Rand) float64 {
	switch r.IntN(4) {
	case 0:
		return float64(r.IntN(1001)) / 1000
	case 1:
		return math.Nextafter(float64(r.IntN(11))/10, float64(r.IntN(3)-1))
	case 2:
		return (r.Float64() - 0.5) * math.Pow(10, float64(r.IntN(600)-300))
	}
	return r.NormFloat64()
}

func ask(r *rand.Rand) question {
	q := question{rule: manifest.Rule{Metric: "f1", Better: "higher"}, value: score(r), champion: score(r)}
	if r.IntN(3) > 0 {
		q.rule.AtLeast = p(score(r))
	}
	if r.IntN(3) > 0 {
		q.rule.MayDrop = p(math.Abs(score(r)))
	}
	return q
}

func (q question) judge(t *testing.T) (passed bool, statuses string) {
	t.Helper()
	verdict, _ := gate.Judge([]manifest.Rule{q.rule}, scored(data, f1(q.value)), champion(scored(data, f1(q.champion))))
	if _, err := json.Marshal(verdict); err != nil {
		t.Fatalf("a verdict that is no JSON: %v", err)
	}
	var all string
	for _, check := range verdict.Checks {
		all += check.Status + " "
	}
	return verdict.Passed, all
}

// mirrored is the same question for a metric of which less is better.
func (q question) mirrored() question {
	m := question{rule: manifest.Rule{Metric: "f1", Better: "lower"}, value: -q.value, champion: -q.champion}
	if q.rule.AtLeast != nil {
		m.rule.AtMost = p(-*q.rule.AtLeast)
	}
	if q.rule.MayDrop != nil {
		m.rule.MayRise = p(*q.rule.MayDrop)
	}
	return m
}

func TestABetterMetricNeverTurnsPassIntoFail(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		worse := ask(r)
		better := worse
		better.value += math.Abs(score(r))
		if r.IntN(2) == 0 {
			better.value = math.Nextafter(worse.value, math.Inf(1))
		}
		if math.IsInf(better.value, 0) {
			continue
		}
		if ok, _ := worse.judge(t); ok {
			if ok, _ := better.judge(t); !ok {
				t.Fatalf("%v passed with %v and failed with %v, champion %v", worse.rule, worse.value, better.value, worse.champion)
			}
		}
	}
}

func TestLowerIsTheMirrorOfHigher(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		q := ask(r)
		passed, statuses := q.judge(t)
		mirrorPassed, mirrorStatuses := q.mirrored().judge(t)
		if passed != mirrorPassed || statuses != mirrorStatuses {
			t.Fatalf("%v, %v against %v: %s, but mirrored: %s", q.rule, q.value, q.champion, statuses, mirrorStatuses)
		}
	}
}

func TestTheChampionItselfAlwaysPassesATolerance(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 50_000 {
		q := ask(r)
		q.rule.AtLeast, q.rule.MayDrop, q.value = nil, p(math.Abs(score(r))), q.champion
		if ok, _ := q.judge(t); !ok {
			t.Fatalf("%v refused the champion's own %v", q.rule, q.champion)
		}
	}
}

// A tolerance that was taken off in decimals, as a person would, passes.
func TestDecimalBoundariesPass(t *testing.T) {
	for champion := 1; champion <= 1000; champion++ {
		for _, drop := range []int{1, 3, 5, 7, 10, 25} {
			q := question{
				rule:  manifest.Rule{Metric: "f1", Better: "higher", MayDrop: p(float64(drop) / 1000)},
				value: float64(champion-drop) / 1000, champion: float64(champion) / 1000,
			}
			if ok, _ := q.judge(t); !ok {
				t.Fatalf("%v refused %v against %v", q.rule, q.value, q.champion)
			}
		}
	}
}
