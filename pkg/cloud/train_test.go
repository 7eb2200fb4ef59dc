package cloud_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

var (
	ourIdentity   = strings.Repeat("ab", 32)
	theirIdentity = strings.Repeat("cd", 32)
)

func training() plan.Train {
	return plan.Train{
		Job: "shop-risk-1-0-0", Image: plan.Text("registry/shop/risk@sha256:1"), Role: "arn:aws:iam::123456789012:role/sm",
		Instance: "ml.m5.xlarge", Count: 1, VolumeGB: 30, MaxRuntime: manifest.Duration(2 * time.Hour),
		Hyperparameters: map[string]string{"depth": "6"}, Environment: map[string]string{"TOWLINE_MODEL": "risk"},
		Inputs: []plan.Input{{Channel: "train", URI: "s3://bucket/data/"}},
		Output: "s3://bucket/training", Identity: ourIdentity,
		Tags: map[string]string{"towline:project": "shop", "towline:model": "risk", "towline:version": "1.0.0"},
	}
}

// there puts a job of an identity into the fake.
func (f *amazon) there(name, identity string, states ...object) {
	f.jobs[name] = states
	f.tags[arn("training-job/"+name)] = map[string]string{"towline:identity": identity}
}

func TestTrainRunsAJobAndRecordsIt(t *testing.T) {
	f := newAmazon(t)
	f.logs = []string{"epoch 1", "epoch \x1b[1m2", "epoch 3"}
	v := connect(t, f.URL)
	got, err := v.Train(context.Background(), training())
	if err != nil {
		t.Fatal(err)
	}
	want := record.Training{
		Job: "shop-risk-1-0-0", ARN: arn("training-job/shop-risk-1-0-0"),
		ModelData:  "s3://bucket/training/shop-risk-1-0-0/output/model.tar.gz",
		OutputData: "s3://bucket/training/shop-risk-1-0-0/output/output.tar.gz",
		Instance:   "ml.m5.xlarge", Started: "2023-11-14T22:13:20Z", Ended: "2023-11-14T22:14:50Z", BillableSeconds: 88,
		Hyperparameters: map[string]string{"depth": "6"},
	}
	if diff := cmp.Diff(record.Section(want), got.Section); diff != "" {
		t.Errorf("the record's training (-want +got):\n%s", diff)
	}
	if got.Yields["model_data"] != want.ModelData || got.Yields["output_data"] != want.OutputData || got.Yields["job"] != want.Job {
		t.Errorf("yields %v", got.Yields)
	}
	wantLog := []string{
		"training job shop-risk-1-0-0: started", "training job shop-risk-1-0-0: starting",
		"epoch 1", "epoch [1m2", "epoch 3", "training job shop-risk-1-0-0: training",
	}
	if diff := cmp.Diff(wantLog, v.lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestTrainAsksForWhatTheActionSays(t *testing.T) {
	f := newAmazon(t)
	a := training()
	a.Entrypoint = []string{"/opt/towline/bin/evaluate"}
	a.Spot, a.KMSKey, a.VPC = true, "key-1", &manifest.VPC{Subnets: []string{"subnet-1"}, SecurityGroups: []string{"sg-1"}}
	f.training = func(string) []object { return []object{{"TrainingJobStatus": "Completed"}} }
	if _, err := connect(t, f.URL).Train(context.Background(), a); err != nil {
		t.Fatal(err)
	}
	got := f.requests[a.Job]
	want := object{
		"TrainingJobName": "shop-risk-1-0-0", "RoleArn": "arn:aws:iam::123456789012:role/sm",
		"AlgorithmSpecification": object{"TrainingImage": "registry/shop/risk@sha256:1", "TrainingInputMode": "File",
			"ContainerEntrypoint": []any{"/opt/towline/bin/evaluate"}},
		"HyperParameters": object{"depth": "6"},
		"Environment":     object{"TOWLINE_MODEL": "risk"},
		"InputDataConfig": []any{object{"ChannelName": "train", "DataSource": object{"S3DataSource": object{
			"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data/", "S3DataDistributionType": "FullyReplicated"}}}},
		"OutputDataConfig": object{"S3OutputPath": "s3://bucket/training", "KmsKeyId": "key-1"},
		"ResourceConfig": object{"InstanceType": "ml.m5.xlarge", "InstanceCount": 1.0, "VolumeSizeInGB": 30.0,
			"VolumeKmsKeyId": "key-1"},
		"StoppingCondition":         object{"MaxRuntimeInSeconds": 7200.0, "MaxWaitTimeInSeconds": 14400.0},
		"EnableManagedSpotTraining": true,
		"VpcConfig":                 object{"Subnets": []any{"subnet-1"}, "SecurityGroupIds": []any{"sg-1"}},
		"Tags": []any{
			object{"Key": "towline:identity", "Value": ourIdentity}, object{"Key": "towline:model", "Value": "risk"},
			object{"Key": "towline:project", "Value": "shop"}, object{"Key": "towline:version", "Value": "1.0.0"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestTrainAdoptsOrTriesAgain(t *testing.T) {
	const name = "shop-risk-1-0-0"
	for _, tt := range []struct {
		phrase  string
		there   map[string][]object
		job     string
		creates int
	}{
		{"a running job is waited for", map[string][]object{name: {running("Training"), running("Training"), ranWell}}, name, 0},
		{"a completed job is kept", map[string][]object{name: {ranWell}}, name, 0},
		{"after a failed job comes the second attempt", map[string][]object{name: {failed("AlgorithmError: no")}}, name + "-r2", 1},
		{"a stopping job is waited for, and then tried again", map[string][]object{
			name: {{"TrainingJobStatus": "Stopping", "SecondaryStatus": "Stopping"}, {"TrainingJobStatus": "Stopping"}, {"TrainingJobStatus": "Stopping"}, stopped},
		}, name + "-r2", 1},
		{"the third attempt is adopted", map[string][]object{
			name: {failed("x")}, name + "-r2": {stopped}, name + "-r3": {running("Training"), ranWell},
		}, name + "-r3", 0},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			for job, states := range tt.there {
				f.there(job, ourIdentity, states...)
			}
			got, err := connect(t, f.URL).Train(context.Background(), training())
			if err != nil {
				t.Fatal(err)
			}
			if got.Yields["job"] != tt.job || !strings.Contains(got.Yields["model_data"], "/"+tt.job+"/output/") {
				t.Errorf("yields %v, want job %s", got.Yields, tt.job)
			}
			f.called("CreateTrainingJob", tt.creates)
		})
	}
}

func TestTrainRefusesAForeignJob(t *testing.T) {
	for _, identity := range []string{theirIdentity, ""} {
		f := newAmazon(t)
		f.there("shop-risk-1-0-0", identity, ranWell)
		_, err := connect(t, f.URL).Train(context.Background(), training())
		failsWith(t, err, fault.Conflict, "training job shop-risk-1-0-0: it belongs to")
		if fault.HintOf(err) == "" {
			t.Error("no hint")
		}
		f.called("CreateTrainingJob", 0)
	}
}

func TestTrainAdoptsAJobThatAnotherOneJustCreated(t *testing.T) {
	f := newAmazon(t)
	f.there("shop-risk-1-0-0", ourIdentity, running("Training"), ranWell)
	f.refusals["DescribeTrainingJob"] = []refusal{*invalid("Requested resource not found.")}
	got, err := connect(t, f.URL).Train(context.Background(), training())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.Said, "was found") {
		t.Errorf("said %q", got.Said)
	}
}

func TestTrainGivesUpAfterTwentyAttempts(t *testing.T) {
	f := newAmazon(t)
	a := training()
	a.Job = strings.Repeat("n", 62)
	f.training = func(string) []object { return []object{failed("AlgorithmError: no")} }
	for range 20 {
		_, err := connect(t, f.URL).Train(context.Background(), a)
		failsWith(t, err, fault.Model, "failed in the model's own code")
	}
	_, err := connect(t, f.URL).Train(context.Background(), a)
	failsWith(t, err, fault.Conflict, "20 attempts")
	if len(f.jobs) != 20 {
		t.Errorf("%d jobs, want 20", len(f.jobs))
	}
	for name := range f.jobs {
		if len(name) > 63 {
			t.Errorf("job %s has %d characters", name, len(name))
		}
	}
}

func TestTrainSaysHowAJobEnded(t *testing.T) {
	for _, tt := range []struct {
		phrase  string
		end     object
		kind    fault.Kind
		text    string
		details []string
	}{
		{"the model's code failed", failed("AlgorithmError: Traceback\n  line 3\nValueError: no, exit code: 1"), fault.Model,
			"training job shop-risk-1-0-0 failed in the model's own code, exit code 1", []string{"Traceback", "  line 3", "ValueError: no"}},
		{"no capacity", failed("CapacityError: Unable to provision requested ML compute capacity."), fault.Remote, "Unable to provision", nil},
		{"AWS broke", failed("InternalServerError: the local cloud stopped while this job ran"), fault.Remote, "the local cloud stopped", nil},
		{"the data is not there", failed("ClientError: Data download failed: No S3 objects found under prefix"), fault.Missing, "No S3 objects", nil},
		{"the role may not read the data", failed("ClientError: Data download failed: Access Denied"), fault.Denied, "Access Denied", nil},
		{"too little memory", failed("ClientError: Please use an instance type with more memory"), fault.Repository, "more memory", nil},
		{"an unknown reason", failed(""), fault.Remote, "failed", nil},
		{"too long", object{"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}, fault.Timeout, "longer than allowed", nil},
		{"no spot instance", object{"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"}, fault.Timeout, "spot", nil},
		{"stopped by someone", stopped, fault.Remote, "stopped from outside", nil},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			f.training = func(string) []object { return []object{running("Training"), tt.end} }
			_, err := connect(t, f.URL).Train(context.Background(), training())
			failsWith(t, err, tt.kind, tt.text)
			if got := fault.DetailsOf(err); !slices.Equal(got, tt.details) {
				t.Errorf("details %q, want %q", got, tt.details)
			}
			if fault.HintOf(err) == "" {
				t.Error("no hint")
			}
		})
	}
}

func TestTrainStopsItsJobWhenInterrupted(t *testing.T) {
	for _, tt := range []struct {
		phrase string
		found  bool
		stops  int
		said   string
	}{
		{"a job that was started here is stopped", false, 1, "stopped, because towline was interrupted"},
		{"a job that was found runs on", true, 0, "left as it is"},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			f.training = func(string) []object { return []object{running("Training")} }
			if tt.found {
				f.there("shop-risk-1-0-0", ourIdentity, running("Training"))
			}
			ctx, cancel := context.WithCancel(context.Background())
			v := connect(t, f.URL)
			v.onTry = func(wait int) {
				if wait == 3 {
					cancel()
				}
			}
			_, err := v.Train(ctx, training())
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want the cancellation", err)
			}
			f.called("StopTrainingJob", tt.stops)
			v.said(t, tt.said)
		})
	}
}

func TestTrainStopsAJobWhoseCreationWasInterrupted(t *testing.T) {
	f := newAmazon(t)
	f.training = func(string) []object { return []object{running("Starting")} }
	ctx, cancel := context.WithCancel(context.Background())
	f.onCall = func(op string) {
		if op == "CreateTrainingJob" {
			cancel()
			time.Sleep(50 * time.Millisecond) // so that the answer finds nobody
		}
	}
	v := connect(t, f.URL)
	_, err := v.Train(ctx, training())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the cancellation", err)
	}
	f.called("StopTrainingJob", 1)
	v.said(t, "stopped, because towline was interrupted")
}

func TestTrainWaitsNoLongerThanItsLimits(t *testing.T) {
	f := newAmazon(t)
	f.training = func(string) []object { return []object{running("Pending")} }
	v := connect(t, f.URL)
	_, err := v.Train(context.Background(), training())
	failsWith(t, err, fault.Timeout, "still pending")
	if waited := v.clock.Sub(time.Unix(1.7e9, 0)); waited < 3*time.Hour || waited > 4*time.Hour {
		t.Errorf("waited %v, want max_runtime and an hour", waited)
	}
}

func TestTrainLivesThroughThrottlingAndALogThatMayNotBeRead(t *testing.T) {
	f := newAmazon(t)
	throttled := refusal{400, "ThrottlingException", "Rate exceeded"}
	f.refusals["DescribeTrainingJob"] = slices.Repeat([]refusal{throttled}, 6)
	f.refusals["CreateTrainingJob"] = []refusal{{503, "ServiceUnavailable", "later"}}
	f.refusals["DescribeLogStreams"] = []refusal{{400, "AccessDeniedException", "no"}}
	v := connect(t, f.URL)
	if _, err := v.Train(context.Background(), training()); err != nil {
		t.Fatal(err)
	}
	f.called("DescribeLogStreams", 1)
	v.said(t, "read the training's log")
}

func TestTrainEncryptsNoDiskThatIsTheInstancesOwn(t *testing.T) {
	for instance, want := range map[string]any{
		"ml.m5.xlarge": "key-1", "ml.g5.xlarge": nil, "ml.m5d.large": nil, "ml.p3.2xlarge": "key-1", "ml.trn1.2xlarge": nil,
	} {
		f := newAmazon(t)
		a := training()
		a.Instance, a.KMSKey = instance, "key-1"
		if _, err := connect(t, f.URL).Train(context.Background(), a); err != nil {
			t.Fatal(err)
		}
		if got := f.requests[a.Job]["ResourceConfig"].(object)["VolumeKmsKeyId"]; got != want {
			t.Errorf("%s: key %v, want %v", instance, got, want)
		}
	}
}
