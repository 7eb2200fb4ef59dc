package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

const other = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

// succeeding is a release that is held against a champion of other test data.
func succeeding() plan.Release {
	r := trained()
	drop := 0.1
	r.Model.Evaluate.Gate = []manifest.Rule{{Metric: "f1", Better: "higher", MayDrop: &drop}}
	champion := trained().Record
	champion.Identity, champion.Candidate = other, "0.1.0-dev.fedcba98"
	champion.Image = &record.Image{Repository: "registry.example.com/p/m", Digest: "sha256:0", Evaluates: "scores.json"}
	champion.Evaluation = &record.Evaluation{Metrics: map[string]float64{"f1": 0.8}, TestData: "elsewhere"}
	champion.Data = []record.Channel{{Name: "train", URI: "s3://b/old/", Digest: "elsewhere", Test: true}}
	r.World.Champion = &champion
	return r
}

func TestWhenTheChampionIsMeasuredAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*plan.Release)
		want   string
	}{
		{"other test data", func(*plan.Release) {}, "measure gate"},
		{"the same test data", func(r *plan.Release) { r.World.Champion.Evaluation.TestData = "d" }, "gate"},
		{"a champion that was never measured", func(r *plan.Release) { r.World.Champion.Evaluation = nil }, "measure gate"},
		{"no champion", func(r *plan.Release) { r.World.Champion = nil }, "gate"},
		{"a champion without the entry", func(r *plan.Release) { r.World.Champion.Image.Evaluates = "" }, "gate"},
		{"a champion of which only tags are left", func(r *plan.Release) { r.World.Champion.Image, r.World.Champion.Training = nil, nil }, "gate"},
		{"a gate that compares nothing", func(r *plan.Release) {
			rule := &r.Model.Evaluate.Gate[0]
			rule.AtLeast, rule.MayDrop = rule.MayDrop, nil
		}, "gate"},
		{"a user who does not want it", func(r *plan.Release) { r.Model.Evaluate.Champion = manifest.ChampionRecorded }, "gate"},
		{"no test data", func(r *plan.Release) { r.Record.Data = nil }, "gate"},
		{"a world that was not read", func(r *plan.Release) {
			r.World = plan.World{}
			r.Model.Evaluate.Command = []string{"python", "evaluate.py"}
		}, "measure gate"},
		{"a world that was not read, and a model without the command", func(r *plan.Release) { r.World = plan.World{} }, "gate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := succeeding()
			tt.change(&r)
			if diff := cmp.Diff(strings.Fields(tt.want), ids(plan.Judging(r))); diff != "" {
				t.Errorf("Judging (-want +got):\n%s", diff)
			}
		})
	}
}

func measuring(t *testing.T, r plan.Release) (plan.Measure, plan.Judge) {
	t.Helper()
	p := plan.Judging(r)
	measure, ok := p[0].(plan.Measure)
	if !ok || len(p) != 2 {
		t.Fatalf("Judging = %v", ids(p))
	}
	return measure, p[1].(plan.Judge)
}

func TestTheJobThatMeasuresAChampion(t *testing.T) {
	r := succeeding()
	r.Model.Train.Spot, r.Model.Train.Count = true, 4
	r.Model.Train.Hyperparameters = manifest.Scalars{"depth": "6"}
	measure, judge := measuring(t, r)
	if measure.Champion != "0.1.0-dev.fedcba98" || measure.File != "scores.json" || measure.TestData != "d" || measure.Channel != "train" {
		t.Errorf("measure = %+v", measure)
	}
	job := measure.Job
	if job.Image.String() != "registry.example.com/p/m@sha256:0" || !cmp.Equal(job.Entrypoint, []string{"/opt/towline/bin/evaluate"}) {
		t.Errorf("it runs %s %v, want the champion's own image and entry", job.Image, job.Entrypoint)
	}
	want := []plan.Input{{Channel: "towline-model", URI: "s3://b/model.tar.gz"}, {Channel: "train", URI: "s3://b/p/m/data/train/d/"}}
	if diff := cmp.Diff(want, job.Inputs); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	if job.Spot || job.Count != 1 || job.Hyperparameters != nil || job.Environment["TOWLINE_IDENTITY"] != other || job.Environment["TOWLINE_TRAINING_DATA"] != "elsewhere" {
		t.Errorf("job = %+v", job)
	}
	if job.Tags["towline:identity"] != job.Identity || job.Identity == other || job.Tags["towline:version"] != "0.1.0-dev.fedcba98" {
		t.Errorf("tags = %v, identity %s", job.Tags, job.Identity)
	}
	if got := judge.Again.String(); got != "(known after measure)" {
		t.Errorf("the gate uses %q", got)
	}
}

func TestTheSameMeasurementHasOneName(t *testing.T) {
	first, _ := measuring(t, succeeding())
	same := succeeding()
	same.Record.Identity, same.Record.Candidate = strings.Repeat("a", 64), "0.1.0-dev.aaaaaaaa"
	if again, _ := measuring(t, same); again.Job.Job != first.Job.Job || again.Job.Identity != first.Job.Identity {
		t.Errorf("another candidate's measurement is called %s, the first %s", again.Job.Job, first.Job.Job)
	}
	seen := map[string]bool{first.Job.Job: true}
	for name, change := range map[string]func(*plan.Release){
		"the champion":  func(r *plan.Release) { r.World.Champion.Identity = strings.Repeat("b", 64) },
		"its weights":   func(r *plan.Release) { r.World.Champion.Training.ModelData = "s3://b/other.tar.gz" },
		"the test data": func(r *plan.Release) { r.Record.Data[0].Digest = "e" },
		"a variable":    func(r *plan.Release) { r.Model.Train.Environment = manifest.Scalars{"A": "1"} },
		"the long names": func(r *plan.Release) {
			r.World.Champion.Project = strings.Repeat("p", 32)
			r.World.Champion.Model = strings.Repeat("m", 32)
		},
	} {
		r := succeeding()
		change(&r)
		measure, _ := measuring(t, r)
		if len(measure.Job.Job) > 58 || seen[measure.Job.Job] {
			t.Errorf("with another of %s the job is called %s", name, measure.Job.Job)
		}
		seen[measure.Job.Job] = true
	}
}
