package cloud_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/lint"
)

// The linter may not import the SDK, so what it knows is held against it here.
func TestTheLinterKnowsTheInstanceTypesOfTheSDK(t *testing.T) {
	var training, hosting []string
	for _, name := range types.TrainingInstanceType("").Values() {
		training = append(training, string(name))
	}
	for _, name := range types.ProductionVariantInstanceType("").Values() {
		hosting = append(hosting, string(name))
	}
	for _, tt := range []struct {
		name      string
		want, got []string
	}{
		{"training", training, lint.TrainingInstances()},
		{"hosting", hosting, lint.HostingInstances()},
	} {
		slices.Sort(tt.want)
		slices.Sort(tt.got)
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-SDK +linter):\n%s", tt.name, diff)
		}
	}
}
