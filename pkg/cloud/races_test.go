package cloud_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
)

// What another job does between our look and our request.

func TestDeployAdoptsAConfigThatAnotherJobJustCreated(t *testing.T) {
	f := newAmazon(t)
	ctx, v := context.Background(), connect(t, f.URL)
	if _, err := v.Deploy(ctx, deployment()); err != nil {
		t.Fatal(err)
	}
	f.serving(at("InService", "old", ""))
	f.refusals["DescribeEndpointConfig"] = []refusal{*invalid("Could not find endpoint configuration")}
	if _, err := v.Deploy(ctx, deployment()); err != nil {
		t.Error(err)
	}
	f.called("CreateEndpointConfig", 2)
}

func TestDeployMeetsAnEndpointThatAnotherJobJustCreated(t *testing.T) {
	f := newAmazon(t)
	f.onCall = func(op string) {
		if op == "CreateEndpoint" && f.endpoints[endpoint] == nil {
			f.serving(at("Creating", "config-new", ""), at("InService", "config-new", ""))
		}
	}
	got, err := connect(t, f.URL).Deploy(context.Background(), deployment())
	if err != nil || !strings.Contains(got.Said, "serves this model already") {
		t.Errorf("Deploy = %+v, %v", got, err)
	}
}

func TestNamesThatAreTakenAndGone(t *testing.T) {
	taken := refusal{400, "ResourceInUse", "taken"}
	f := newAmazon(t)
	for _, op := range []string{"CreateTrainingJob", "CreateModel", "CreateEndpointConfig"} {
		f.refusals[op] = []refusal{taken}
	}
	ctx, v := context.Background(), connect(t, f.URL)
	_, err := v.Train(ctx, training())
	failsWith(t, err, fault.Conflict, "its name is in use, but it is not there")
	_, err = v.CreateModel(ctx, aModel())
	failsWith(t, err, fault.Conflict, "its name was taken, and now it is not there")
	_, err = v.Deploy(ctx, deployment())
	failsWith(t, err, fault.Conflict, "its name was taken, and now it is not there")
}

func TestTrainMeetsAJobThatIsDeleted(t *testing.T) {
	f := newAmazon(t)
	f.training = func(string) []object { return []object{running("Training"), {"gone": true}} }
	_, err := connect(t, f.URL).Train(context.Background(), training())
	failsWith(t, err, fault.Conflict, "it was deleted")
}

func TestTrainThatCannotBeStoppedSaysSo(t *testing.T) {
	f := newAmazon(t)
	f.training = func(string) []object { return []object{running("Training")} }
	f.refusals["StopTrainingJob"] = []refusal{{400, "AccessDeniedException", "no"}}
	ctx, cancel := context.WithCancel(context.Background())
	v := connect(t, f.URL)
	v.onTry = func(int) { cancel() }
	if _, err := v.Train(ctx, training()); err == nil {
		t.Error("no error")
	}
	v.said(t, "it may go on running")
}

func TestTheLogOfSeveralHostsSaysWhich(t *testing.T) {
	f := newAmazon(t)
	f.hosts, f.logs = 2, []string{"epoch 1"}
	v := connect(t, f.URL)
	if _, err := v.Train(context.Background(), training()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range v.lines {
		if strings.Contains(line, "epoch") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff([]string{"algo-1: epoch 1", "algo-2: epoch 1"}, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
