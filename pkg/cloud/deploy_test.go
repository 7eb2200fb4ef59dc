package cloud_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

const endpoint = "shop-risk-prod"

func deployment() plan.Deploy {
	return plan.Deploy{
		Environment: "prod", Endpoint: endpoint, Config: "config-new", Model: plan.Text("model-new"), Variant: "main",
		Instance: "ml.m5.large", Count: 2, Startup: manifest.Duration(8 * time.Minute), KMSKey: "key-1", Identity: ourIdentity,
		Tags: map[string]string{"towline:project": "shop", "towline:model": "risk", "towline:version": "1.0.0"},
	}
}

// serving puts an endpoint of this project into the fake.
func (f *amazon) serving(states ...object) {
	f.endpoints[endpoint] = states
	f.tags[arn("endpoint/"+endpoint)] = map[string]string{"towline:project": "shop", "towline:model": "risk"}
}

func at(status, config, reason string) object {
	return object{"EndpointStatus": status, "EndpointConfigName": config, "FailureReason": reason}
}

func TestDeployCreatesAnEndpoint(t *testing.T) {
	f := newAmazon(t)
	got, err := connect(t, f.URL).Deploy(context.Background(), deployment())
	if err != nil {
		t.Fatal(err)
	}
	want := record.Endpoint{Environment: "prod", Name: endpoint, ARN: arn("endpoint/" + endpoint), Config: "config-new", Model: "model-new"}
	if diff := cmp.Diff(record.Section(want), got.Section); diff != "" {
		t.Errorf("the record's endpoint (-want +got):\n%s", diff)
	}
	variant := f.configs["config-new"]["ProductionVariants"].([]any)[0]
	wantVariant := object{"VariantName": "main", "ModelName": "model-new", "InstanceType": "ml.m5.large",
		"InitialInstanceCount": 2.0, "InitialVariantWeight": 1.0, "ContainerStartupHealthCheckTimeoutInSeconds": 480.0}
	if diff := cmp.Diff(any(wantVariant), variant); diff != "" {
		t.Errorf("variant (-want +got):\n%s", diff)
	}
	if key := f.configs["config-new"]["KmsKeyId"]; key != "key-1" {
		t.Errorf("key of the config %v", key)
	}
	if tags := f.tags[arn("endpoint/"+endpoint)]; tags["towline:identity"] != ourIdentity || tags["towline:model"] != "risk" {
		t.Errorf("tags of the endpoint %v", tags)
	}
}

func TestDeployEndsWell(t *testing.T) {
	for _, tt := range []struct {
		phrase string
		there  []object
		calls  []string // those that change something
		said   string
	}{
		{"an endpoint with another config is updated", []object{at("InService", "old", "")},
			[]string{"CreateEndpointConfig", "UpdateEndpoint", "AddTags"}, "was updated"},
		{"one that serves this config is left alone", []object{at("InService", "config-new", "")},
			nil, "serves this model already"},
		{"one that serves this config after a failed update to another is left alone",
			[]object{at("InService", "config-new", "no ping")}, nil, "serves this model already"},
		{"one that is being updated is waited for",
			[]object{at("Updating", "old", ""), at("SystemUpdating", "old", ""), at("InService", "old", "")},
			[]string{"CreateEndpointConfig", "UpdateEndpoint", "AddTags"}, "was updated"},
		{"one that is being updated to this config is waited for",
			[]object{at("Updating", "old", ""), at("InService", "config-new", "")}, nil, "serves this model already"},
		{"one that failed is replaced", []object{at("Failed", "old", "no ping")},
			[]string{"CreateEndpointConfig", "DeleteEndpoint", "CreateEndpoint"}, "was created"},
		{"one that is being deleted is waited for and created anew",
			[]object{at("Deleting", "old", ""), {"gone": true}},
			[]string{"CreateEndpointConfig", "CreateEndpoint"}, "was created"},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			f.serving(tt.there...)
			got, err := connect(t, f.URL).Deploy(context.Background(), deployment())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.Said, tt.said) {
				t.Errorf("said %q, want %q", got.Said, tt.said)
			}
			if diff := cmp.Diff(tt.calls, f.changes()); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// changes are the operations that were called and are no look.
func (f *amazon) changes() []string {
	var list []string
	for _, call := range f.calls {
		op, _, _ := strings.Cut(call, " ")
		if !strings.HasPrefix(op, "Describe") && op != "ListTags" {
			list = append(list, op)
		}
	}
	return list
}

func TestDeployNoticesWhatDidNotSucceed(t *testing.T) {
	const ping = "The primary container for production variant main did not pass the ping health check."
	for _, tt := range []struct {
		phrase string
		there  []object // nil: none
		states []object // after the change
		kind   fault.Kind
		text   string
	}{
		{"a rollback that is reported as in service", []object{at("InService", "old", "")},
			[]object{at("Updating", "old", ""), at("RollingBack", "old", ""), at("InService", "old", ping)},
			fault.Model, "endpoint shop-risk-prod: it was rolled back to config old: " + ping},
		{"a rollback without a reason", []object{at("InService", "old", "")},
			[]object{at("Updating", "old", ""), at("InService", "old", "")}, fault.Remote, "rolled back to config old"},
		{"a rollback for want of capacity", []object{at("InService", "old", "")},
			[]object{at("Updating", "old", ""), at("InService", "old", "Insufficient capacity")}, fault.Remote, "Insufficient"},
		{"an update that never begins", []object{at("InService", "old", "")},
			[]object{at("InService", "old", "")}, fault.Remote, "rolled back to config old"},
		{"in service with a reason for failure", []object{at("InService", "old", "")},
			[]object{at("Updating", "old", ""), at("InService", "config-new", "half of it failed")}, fault.Remote, "half of it"},
		{"an endpoint that cannot be created", nil,
			[]object{at("Creating", "config-new", ""), at("Failed", "config-new", ping)}, fault.Model, "it is failed: The primary"},
		{"a rollback that failed", []object{at("InService", "old", "")},
			[]object{at("Updating", "old", ""), at("UpdateRollbackFailed", "old", "x")}, fault.Remote, "update rollback failed"},
		{"an image that may not be pulled", nil,
			[]object{at("Failed", "config-new", "AccessDeniedException pulling the image")}, fault.Denied, "AccessDenied"},
		{"an endpoint deleted meanwhile", nil, []object{at("Creating", "config-new", ""), {"gone": true}}, fault.Conflict, "deleted"},
		{"an endpoint that never ends", nil, []object{at("Creating", "config-new", "")}, fault.Timeout, "still creating"},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			if tt.there != nil {
				f.serving(tt.there...)
			}
			f.deploying = func(string, string) []object { return tt.states }
			_, err := connect(t, f.URL).Deploy(context.Background(), deployment())
			failsWith(t, err, tt.kind, tt.text)
			if fault.HintOf(err) == "" || strings.Contains(fault.HintOf(err), "%!") {
				t.Errorf("hint %q", fault.HintOf(err))
			}
		})
	}
}

func TestDeployKeepsTheTagsTrue(t *testing.T) {
	f := newAmazon(t)
	f.serving(at("InService", "old", ""))
	if _, err := connect(t, f.URL).Deploy(context.Background(), deployment()); err != nil {
		t.Fatal(err)
	}
	if tags := f.tags[arn("endpoint/"+endpoint)]; tags["towline:version"] != "1.0.0" || tags["towline:identity"] != ourIdentity {
		t.Errorf("tags %v", tags)
	}
	f.serving(at("InService", "old", ""))
	f.refusals["AddTags"] = []refusal{{400, "AccessDeniedException", "no"}}
	v := connect(t, f.URL)
	if _, err := v.Deploy(context.Background(), deployment()); err != nil {
		t.Fatal(err)
	}
	v.said(t, "its tags still name the release before")
}

func TestDeployWaitsForAnUpdateThatBeginsLate(t *testing.T) {
	f := newAmazon(t)
	f.serving(at("InService", "old", ""))
	f.deploying = func(string, string) []object {
		return []object{at("InService", "old", ""), at("Updating", "old", ""), at("InService", "config-new", "")}
	}
	if _, err := connect(t, f.URL).Deploy(context.Background(), deployment()); err != nil {
		t.Fatal(err)
	}
}

func TestDeployLeavesWhatIsNotOurs(t *testing.T) {
	for _, tt := range []struct {
		phrase string
		tags   map[string]string
		text   string
	}{
		{"another project's endpoint", map[string]string{"towline:project": "bank", "towline:model": "fraud"}, "model fraud of project bank"},
		{"another model's endpoint", map[string]string{"towline:project": "shop", "towline:model": "fraud"}, "model fraud of project shop"},
		{"an endpoint made by hand", nil, "did not make"},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			f.serving(at("InService", "config-new", ""))
			f.tags[arn("endpoint/"+endpoint)] = tt.tags
			_, err := connect(t, f.URL).Deploy(context.Background(), deployment())
			failsWith(t, err, fault.Conflict, tt.text)
			if changes := f.changes(); changes != nil {
				t.Errorf("changed %v", changes)
			}
		})
	}
}

func TestDeployAdoptsItsConfig(t *testing.T) {
	for _, tt := range []struct {
		phrase   string
		identity string
		model    string
		kind     fault.Kind // 0: adopted
	}{
		{"our own", ourIdentity, "model-new", 0},
		{"another identity's", theirIdentity, "model-new", fault.Conflict},
		{"one for another model", ourIdentity, "model-old", fault.Conflict},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			f.configs["config-new"] = object{"EndpointConfigArn": arn("endpoint-config/config-new"),
				"ProductionVariants": []object{{"ModelName": tt.model}}}
			f.tags[arn("endpoint-config/config-new")] = map[string]string{"towline:identity": tt.identity}
			_, err := connect(t, f.URL).Deploy(context.Background(), deployment())
			if tt.kind != 0 {
				failsWith(t, err, tt.kind, "endpoint config config-new")
				f.called("CreateEndpoint", 0)
				return
			}
			if err != nil {
				t.Error(err)
			}
			f.called("CreateEndpointConfig", 0)
		})
	}
}

func TestDeployLosesARaceAtMostThreeTimes(t *testing.T) {
	f := newAmazon(t)
	f.serving(at("InService", "old", ""))
	busy := *invalid("Cannot update in-progress endpoint " + endpoint)
	f.refusals["UpdateEndpoint"] = []refusal{busy, busy}
	if _, err := connect(t, f.URL).Deploy(context.Background(), deployment()); err != nil {
		t.Errorf("after two lost races: %v", err)
	}
	f = newAmazon(t)
	f.serving(at("InService", "old", ""))
	f.refusals["UpdateEndpoint"] = slices.Repeat([]refusal{busy}, 9)
	_, err := connect(t, f.URL).Deploy(context.Background(), deployment())
	failsWith(t, err, fault.Conflict, "again and again")
}

func TestDeploySaysWhatItLeavesWhenInterrupted(t *testing.T) {
	f := newAmazon(t)
	f.deploying = func(string, string) []object { return []object{at("Creating", "config-new", "")} }
	ctx, cancel := context.WithCancel(context.Background())
	v := connect(t, f.URL)
	v.onTry = func(int) { cancel() }
	if _, err := v.Deploy(ctx, deployment()); err == nil {
		t.Error("no error")
	}
	v.said(t, "left as it is, creating")
}

func aModel() plan.CreateModel {
	return plan.CreateModel{
		Name: "model-new", Image: plan.Text("registry/shop/risk@sha256:1"), ModelData: plan.Text("s3://bucket/m.tar.gz"),
		Role: "arn:aws:iam::123456789012:role/sm", Environment: map[string]string{"LOG": "info"}, Identity: ourIdentity,
	}
}

func TestCreateModel(t *testing.T) {
	for _, tt := range []struct {
		phrase   string
		identity string // of the model that is there; "-" for none
		data     string
		kind     fault.Kind
		creates  int
	}{
		{"a new one is created", "-", "", 0, 1},
		{"our own is adopted", ourIdentity, "s3://bucket/m.tar.gz", 0, 0},
		{"another identity's is left alone", theirIdentity, "s3://bucket/m.tar.gz", fault.Conflict, 0},
		{"one from other weights is not taken for ours", ourIdentity, "s3://bucket/other.tar.gz", fault.Conflict, 0},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			if tt.identity != "-" {
				f.models["model-new"] = object{"ModelArn": arn("model/model-new"), "PrimaryContainer": object{"ModelDataUrl": tt.data}}
				f.tags[arn("model/model-new")] = map[string]string{"towline:identity": tt.identity}
			}
			got, err := connect(t, f.URL).CreateModel(context.Background(), aModel())
			f.called("CreateModel", tt.creates)
			if tt.kind != 0 {
				failsWith(t, err, tt.kind, "adopt model model-new")
				return
			}
			if err != nil || got.Yields["model"] != "model-new" {
				t.Errorf("CreateModel = %v, %v", got, err)
			}
		})
	}
}

func TestCreateModelAdoptsOneThatAnotherJobJustCreated(t *testing.T) {
	f := newAmazon(t)
	if _, err := connect(t, f.URL).CreateModel(context.Background(), aModel()); err != nil {
		t.Fatal(err)
	}
	f.refusals["DescribeModel"] = []refusal{*invalid("Could not find model")}
	got, err := connect(t, f.URL).CreateModel(context.Background(), aModel())
	if err != nil || !strings.Contains(got.Said, "was found") {
		t.Errorf("CreateModel = %v, %v", got, err)
	}
}

func TestChampion(t *testing.T) {
	whole := cloud.Serving{Endpoint: endpoint, Status: "InService", Config: "config-new", Model: "model-new",
		Identity: ourIdentity, Version: "1.0.0", Image: "registry/shop/risk@sha256:1", ModelData: "s3://bucket/m.tar.gz"}
	for _, tt := range []struct {
		phrase string
		change func(*amazon)
		want   cloud.Serving
		found  bool
	}{
		{"the release that is served", func(*amazon) {}, whole, true},
		{"no endpoint", func(f *amazon) { delete(f.endpoints, endpoint) }, cloud.Serving{Endpoint: endpoint}, false},
		{"an endpoint that does not serve yet", func(f *amazon) { f.serving(at("Creating", "config-new", "")) },
			cloud.Serving{Endpoint: endpoint, Status: "Creating"}, false},
		{"a config that is gone", func(f *amazon) { delete(f.configs, "config-new") },
			cloud.Serving{Endpoint: endpoint, Status: "InService", Config: "config-new"}, true},
		{"a model that is gone", func(f *amazon) { delete(f.models, "model-new") },
			cloud.Serving{Endpoint: endpoint, Status: "InService", Config: "config-new", Model: "model-new"}, true},
		{"the variant with most of the traffic", func(f *amazon) {
			f.configs["config-new"]["ProductionVariants"] = []object{
				{"ModelName": "canary", "InitialVariantWeight": 0.1}, {"ModelName": "model-new", "InitialVariantWeight": 0.9}}
		}, whole, true},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			ctx, v := context.Background(), connect(t, f.URL)
			m := aModel()
			m.Tags = map[string]string{"towline:version": "1.0.0"}
			if _, err := v.CreateModel(ctx, m); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Deploy(ctx, deployment()); err != nil {
				t.Fatal(err)
			}
			tt.change(f)
			got, found, err := v.Champion(ctx, endpoint)
			if err != nil || found != tt.found {
				t.Errorf("Champion found %v, %v; want %v", found, err, tt.found)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Champion (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStates(t *testing.T) {
	f := newAmazon(t)
	ctx, v := context.Background(), connect(t, f.URL)
	if _, found, err := v.TrainingJob(ctx, "none"); found || err != nil {
		t.Errorf("TrainingJob of none: %v, %v", found, err)
	}
	f.there("job", ourIdentity, ranWell)
	f.serving(at("Failed", "old", "no ping"))
	job, found, err := v.TrainingJob(ctx, "job")
	if !found || err != nil || job.Status != "Completed" || !job.Started.Equal(time.Unix(1.7e9, 0)) {
		t.Errorf("TrainingJob = %+v, %v, %v", job, found, err)
	}
	state, found, err := v.Endpoint(ctx, endpoint)
	if !found || err != nil || state.Failure != "no ping" {
		t.Errorf("Endpoint = %+v, %v, %v", state, found, err)
	}
}
