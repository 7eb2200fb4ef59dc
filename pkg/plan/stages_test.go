package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

const identity = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func fresh() plan.Release {
	r := plan.Release{
		Target: plan.Target{Name: "prod", Base: "scratch", Platform: "linux/amd64", Environment: manifest.Environment{
			Region: "eu-west-1", ExecutionRole: "arn:aws:iam::111122223333:role/sm", Bucket: "b", Registry: "registry.example.com",
			Tags: manifest.Scalars{"team": "x"},
		}},
		Model: manifest.Model{
			Name: "m", Path: ".",
			Train: manifest.Train{
				Command: []string{"python", "train.py"}, Instance: "ml.m5.large", Count: 1, VolumeGB: 30,
				MaxRuntime: manifest.Duration(time.Hour),
			},
			Evaluate: &manifest.Evaluate{File: "evaluation.json"},
			Serve:    &manifest.Serve{Command: []string{"python", "serve.py"}, Instance: "ml.m5.large", Count: 1, Sample: &manifest.Sample{File: "s.json"}},
		},
		Root: "/repo", Layout: "/repo/.towline/image", Folders: map[string]string{"train": "/repo/data"},
		World: plan.World{Read: true},
	}
	r.Record = record.Record{Project: "p", Model: "m", Identity: identity}
	r.Record.Candidate = "0.1.0-dev.01234567"
	r.Record.Data = []record.Channel{{Name: "train", URI: "s3://b/p/m/data/train/d/", Digest: "d", Test: true}}
	return r
}

// trained is a release whose identity is known to the target.
func trained() plan.Release {
	r := fresh()
	r.Record.Image = &record.Image{Repository: "registry.example.com/p/m", Digest: "sha256:1"}
	r.Record.Training = &record.Training{Job: "job", ModelData: "s3://b/model.tar.gz", OutputData: "s3://b/output.tar.gz"}
	r.Record.Evaluation = &record.Evaluation{Metrics: map[string]float64{"f1": 0.9}}
	r.World.Image = true
	return r
}

func ids(p plan.Plan) []string {
	var list []string
	for _, action := range p {
		id := action.ID()
		if _, kept := action.(plan.Keep); kept {
			id = "=" + id
		}
		list = append(list, id)
	}
	return list
}

func TestWhole(t *testing.T) {
	champion := trained()
	champion.Record.Verdict = &record.Verdict{Passed: true}
	champion.World.Champion = &champion.Record

	noServer := fresh()
	noServer.Model.Serve = nil

	unmeasured := trained()
	unmeasured.Record.Evaluation = nil

	noGate := fresh()
	noGate.Model.Evaluate = nil

	onDisk := fresh()
	onDisk.Record.Image = &record.Image{Digest: "sha256:1"}
	onDisk.World.Layout = true

	for _, tt := range []struct {
		name    string
		release plan.Release
		want    string
	}{
		{"the first time", fresh(), "package push attest upload:train train evaluate record:trained gate model deploy record:deployed predict"},
		{"trained before", trained(), "=package =push attest =train =evaluate gate model deploy record:deployed predict"},
		{"the champion itself", champion, "=package =push attest =train =evaluate =gate model deploy record:deployed predict"},
		{"a model that is not served", noServer, "package push attest upload:train train evaluate record:trained gate"},
		{"trained but never measured", unmeasured, "=package =push attest =train evaluate record:trained gate model deploy record:deployed predict"},
		{"a model that nobody judges", noGate, "package push attest upload:train train record:trained model deploy record:deployed predict"},
		{"packaged but not pushed", onDisk, "=package push attest upload:train train evaluate record:trained gate model deploy record:deployed predict"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(strings.Fields(tt.want), ids(plan.Whole(tt.release))); diff != "" {
				t.Errorf("Whole (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeployingKeepsWhatServesAlready(t *testing.T) {
	r := trained()
	var config string
	for _, action := range plan.Deploying(r) {
		if d, ok := action.(plan.Deploy); ok {
			config = d.Config
		}
	}
	r.World.Config, r.World.Healthy = config, true
	r.Record.Endpoint = &record.Endpoint{Environment: "prod", Config: config}
	if diff := cmp.Diff([]string{"=deploy"}, ids(plan.Deploying(r))); diff != "" {
		t.Errorf("Deploying (-want +got):\n%s", diff)
	}
	r.Model.Serve.Count = 2
	if diff := cmp.Diff([]string{"model", "deploy", "record:deployed"}, ids(plan.Deploying(r))); diff != "" {
		t.Errorf("Deploying with another count (-want +got):\n%s", diff)
	}
}

func TestNamesFitTheirServices(t *testing.T) {
	r := fresh()
	r.Record.Project, r.Record.Model = strings.Repeat("p", 32), strings.Repeat("m", 32)
	for _, action := range plan.Whole(r) {
		switch a := action.(type) {
		case plan.Train:
			if len(a.Job) > 58 {
				t.Errorf("job %s has %d characters, which leaves no room for -r20", a.Job, len(a.Job))
			}
		case plan.Deploy:
			if len(a.Endpoint) > 63 || len(a.Config) > 63 {
				t.Errorf("endpoint %s or config %s is longer than 63", a.Endpoint, a.Config)
			}
			if strings.HasPrefix(a.Config, a.Endpoint+"-") == (len(a.Endpoint)+9 > 63) {
				t.Errorf("config %s does not tell its endpoint %s", a.Config, a.Endpoint)
			}
		}
	}
}

func TestTagsTellWhatIsOurs(t *testing.T) {
	for _, action := range plan.Training(fresh()) {
		train, ok := action.(plan.Train)
		if !ok {
			continue
		}
		want := map[string]string{
			"team": "x", "towline:project": "p", "towline:model": "m",
			"towline:version": "0.1.0-dev.01234567", "towline:identity": identity,
		}
		if diff := cmp.Diff(want, train.Tags); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
		if got := train.Environment["TOWLINE_TRAINING_DATA"]; got != "d" {
			t.Errorf("TOWLINE_TRAINING_DATA = %q, want d", got)
		}
	}
}
