package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// CreateRepository makes an image repository of ECR, named host/path. One that
// another job has made in the meantime is left as it is.
func (c *Cloud) CreateRepository(ctx context.Context, repository string, a plan.NewRepository) error {
	host, path, _ := strings.Cut(repository, "/")
	parts := ecrHost().FindStringSubmatch(host)
	if parts == nil {
		return fault.Newf(fault.Missing, "create image repository %s: only those of ECR can be created", repository).
			Hintf("create the repository in the registry first")
	}
	client := ecr.NewFromConfig(c.aws, func(o *ecr.Options) { o.Region = parts[1] })
	_, err := client.CreateRepository(ctx, newRepository(path, a))
	var exists *types.RepositoryAlreadyExistsException
	if errors.As(err, &exists) {
		return nil
	}
	if err != nil {
		return call{"create image repository " + repository, "ecr:CreateRepository"}.fault(err)
	}
	if a.Keep == 0 {
		return nil
	}
	policy, err := lifecycle(a.Keep)
	if err != nil {
		return err
	}
	_, err = client.PutLifecyclePolicy(ctx, &ecr.PutLifecyclePolicyInput{
		RepositoryName: aws.String(path), LifecyclePolicyText: aws.String(policy),
	})
	if err != nil {
		return call{"say how many images to keep in " + repository, "ecr:PutLifecyclePolicy"}.fault(err)
	}
	return nil
}

// newRepository is the request. Where tags cannot be moved, the marker still
// can: it names no release.
func newRepository(path string, a plan.NewRepository) *ecr.CreateRepositoryInput {
	in := &ecr.CreateRepositoryInput{
		RepositoryName:     aws.String(path),
		ImageTagMutability: types.ImageTagMutabilityMutable,
	}
	if a.Scan {
		in.ImageScanningConfiguration = &types.ImageScanningConfiguration{ScanOnPush: true}
	}
	if a.Immutable {
		in.ImageTagMutability = types.ImageTagMutabilityImmutableWithExclusion
		in.ImageTagMutabilityExclusionFilters = []types.ImageTagMutabilityExclusionFilter{
			{Filter: aws.String(plan.Marker), FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard},
		}
	}
	if a.KMSKey != "" {
		in.EncryptionConfiguration = &types.EncryptionConfiguration{EncryptionType: types.EncryptionTypeKms, KmsKey: aws.String(a.KMSKey)}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(name), Value: aws.String(a.Tags[name])})
	}
	return in
}

// lifecycle is a policy that keeps the newest images, whatever their tags.
func lifecycle(keep int) (string, error) {
	type object = map[string]any
	text, err := json.Marshal(object{"rules": []object{{
		"rulePriority": 1,
		"description":  "keep the newest images",
		"selection":    object{"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": keep},
		"action":       object{"type": "expire"},
	}}})
	return string(text), err
}
