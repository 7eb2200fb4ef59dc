package cloud_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gitlab.com/towline/towline/pkg/lint"
)

// The linter may not import the SDK, so what it knows is held against it here.
// It may know types that are younger than the SDK's release.
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
		for _, name := range tt.want {
			if !slices.Contains(tt.got, name) {
				t.Errorf("%s: the SDK knows %s, the linter does not", tt.name, name)
			}
		}
	}
}
