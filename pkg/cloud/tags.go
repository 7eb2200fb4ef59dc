package cloud

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
)

// tags are those of the action, with the identity that makes the resource ours.
func tags(given map[string]string, identity string) []types.Tag {
	all := maps.Clone(given)
	if all == nil {
		all = map[string]string{}
	}
	if identity != "" {
		all[tagIdentity] = identity
	}
	list := make([]types.Tag, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(all[key])})
	}
	return list
}

// tagsOf reads the tags of a resource.
func (c *Cloud) tagsOf(ctx context.Context, arn *string) (map[string]string, error) {
	found := map[string]string{}
	request := &sagemaker.ListTagsInput{ResourceArn: arn, MaxResults: aws.Int32(100)}
	for {
		page, err := c.sagemaker().ListTags(ctx, request)
		if err != nil {
			return nil, call{"read the tags of " + aws.ToString(arn), "sagemaker:ListTags"}.fault(err)
		}
		for _, tag := range page.Tags {
			found[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
		if aws.ToString(page.NextToken) == "" {
			return found, nil
		}
		request.NextToken = page.NextToken
	}
}

// owned makes sure that what has our name was made for our identity.
func (c *Cloud) owned(ctx context.Context, what string, arn *string, identity string) error {
	found, err := c.tagsOf(ctx, arn)
	if err != nil {
		return err
	}
	if found[tagIdentity] == identity {
		return nil
	}
	owner := "identity " + short(found[tagIdentity])
	if found[tagIdentity] == "" {
		owner = "something that Towline did not make"
	}
	return fault.Newf(fault.Conflict, "adopt %s: it belongs to %s, wanted identity %s", what, owner, short(identity)).
		Hintf("delete it, or give this model another name in towline.yaml")
}

// short cuts an identity to what a reader compares.
func short(identity string) string {
	const digits = 12
	if len(identity) != 64 {
		return identity
	}
	return identity[:digits]
}

func vpcConfig(vpc *manifest.VPC) *types.VpcConfig {
	if vpc == nil {
		return nil
	}
	return &types.VpcConfig{Subnets: vpc.Subnets, SecurityGroupIds: vpc.SecurityGroups}
}

// text is nil for "", so that an optional field is left out.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
