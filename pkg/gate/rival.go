package gate

import (
	"fmt"
	"maps"
	"strings"

	"gitlab.com/towline/towline/pkg/record"
)

// rival is what the candidate is compared with: the champion, as far as the
// two can be compared at all.
type rival struct {
	name    string // of the champion; "" if there is none
	metrics map[string]float64
	whyNot  string // why no metric can be compared; "" if they can
	same    bool   // it scored exactly what the candidate scored
	again   string // the job that evaluated it again, on the candidate's test data; "" if its record said enough
}

// noChampion is what the note of a first model says.
const noChampion = "no champion yet: only absolute limits decide"

func rivalOf(champion *record.Record, candidate record.Evaluation) rival {
	if champion == nil {
		return rival{whyNot: "there is no champion yet"}
	}
	r := rival{name: nameOf(champion)}
	if champion.Evaluation != nil {
		r.again = champion.Evaluation.Job
	}
	if champion.Evaluation == nil {
		r.whyNot = fmt.Sprintf("the record of the champion %s has no evaluation", plain(r.name))
		return r
	}
	ours, theirs := candidate.TestData, champion.Evaluation.TestData
	switch {
	case ours == "":
		r.whyNot = "it is not known on which test data the candidate was measured"
	case theirs == "":
		r.whyNot = fmt.Sprintf("it is not known on which test data the champion %s was measured", plain(r.name))
	case ours != theirs:
		r.whyNot = fmt.Sprintf("the champion %s was measured on other test data (%s vs %s)",
			plain(r.name), short(theirs), short(ours))
	default:
		r.metrics = champion.Evaluation.Metrics
		r.same = len(r.metrics) > 0 && maps.Equal(r.metrics, candidate.Metrics)
	}
	return r
}

// nameOf never is empty for a champion that is there.
func nameOf(champion *record.Record) string {
	for _, name := range []string{champion.Name(), champion.Version.Version, shortIdentity(champion.Identity)} {
		if name != "" {
			return name
		}
	}
	return "without a name"
}

func shortIdentity(identity string) string { return identity[:min(len(identity), 8)] }

// metric is what the champion scored, or why that cannot be used.
func (r rival) metric(name string) (value float64, whyNot string) {
	if r.whyNot != "" {
		return 0, r.whyNot
	}
	value, found := r.metrics[name]
	if !found {
		return 0, fmt.Sprintf("the champion %s has no metric %s", plain(r.name), plain(name))
	}
	if !finite(value) {
		return 0, fmt.Sprintf("the %s of the champion %s is %g", plain(name), plain(r.name), value)
	}
	return value, ""
}

// note says aloud what a reader of the verdict must know beyond its checks.
func note(v record.Verdict, r rival) string {
	if len(v.Checks) == 0 {
		return "nothing was asked: evaluate.gate has no limit, so every candidate passes"
	}
	notes := comparison(v.Checks, r)
	if count(v.Checks, Skipped) == len(v.Checks) {
		notes = append(notes, "no check could be made, so nothing is known of this candidate's quality")
	}
	return strings.Join(notes, "; ")
}

func comparison(checks []record.Check, r rival) []string {
	switch {
	case r.name == "":
		return []string{noChampion}
	case r.whyNot != "":
		return []string{r.whyNot + ": not compared; only absolute limits decide"}
	}
	var notes []string
	if r.again != "" {
		notes = append(notes, fmt.Sprintf("the champion %s was evaluated again on the candidate's test data, by %s", plain(r.name), plain(r.again)))
	}
	said := map[string]bool{}
	for _, check := range checks {
		if check.Status != Skipped || said[check.Metric] {
			continue
		}
		said[check.Metric] = true
		_, whyNot := r.metric(check.Metric)
		notes = append(notes, whyNot+": not compared")
	}
	if r.same {
		notes = append(notes, fmt.Sprintf(
			"the candidate scored exactly what the champion %s scored: the same model, or a difference that no metric sees", plain(r.name)))
	}
	return notes
}

// short is the beginning of a digest, enough to tell two apart.
func short(digest string) string {
	digest = strings.TrimPrefix(digest, "sha256:")
	if len(digest) <= 12 {
		return plain(digest)
	}
	return plain(digest[:12]) + "…"
}
