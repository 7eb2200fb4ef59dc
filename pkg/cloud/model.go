package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// CreateModel makes the model known to SageMaker, or adopts the one of that
// name if it was made for the same identity out of the same weights.
func (c *Cloud) CreateModel(ctx context.Context, a plan.CreateModel) (plan.Receipt, error) {
	receipt := plan.Receipt{Yields: map[string]string{"model": a.Name}, Said: "model " + a.Name + " is known to SageMaker"}
	found, err := c.describeModel(ctx, a.Name)
	if err != nil {
		return plan.Receipt{}, err
	}
	if found == nil {
		_, err := c.sagemaker().CreateModel(ctx, modelInput(a))
		if err == nil {
			return receipt, nil
		}
		if !taken(err) {
			return plan.Receipt{}, call{"create model " + a.Name, "sagemaker:CreateModel"}.fault(err)
		}
		if found, err = c.describeModel(ctx, a.Name); err != nil {
			return plan.Receipt{}, err
		}
	}
	if err := c.adoptModel(ctx, found, a); err != nil {
		return plan.Receipt{}, err
	}
	receipt.Said = "model " + a.Name + " was found: the same identity is there already"
	return receipt, nil
}

func modelInput(a plan.CreateModel) *sagemaker.CreateModelInput {
	return &sagemaker.CreateModelInput{
		ModelName:        &a.Name,
		ExecutionRoleArn: &a.Role,
		PrimaryContainer: &types.ContainerDefinition{
			Image:        aws.String(a.Image.String()),
			ModelDataUrl: text(a.ModelData.String()),
			Environment:  a.Environment,
		},
		VpcConfig: vpcConfig(a.VPC),
		Tags:      tags(a.Tags, a.Identity),
	}
}

// describeModel is nil for a model that is not there.
func (c *Cloud) describeModel(ctx context.Context, name string) (*sagemaker.DescribeModelOutput, error) {
	found, err := c.sagemaker().DescribeModel(ctx, &sagemaker.DescribeModelInput{ModelName: &name})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, call{"look at model " + name, "sagemaker:DescribeModel"}.fault(err)
	}
	return found, nil
}

func (c *Cloud) adoptModel(ctx context.Context, found *sagemaker.DescribeModelOutput, a plan.CreateModel) error {
	if found == nil {
		return vanished("model", a.Name)
	}
	if err := c.owned(ctx, "model "+a.Name, found.ModelArn, a.Identity); err != nil {
		return err
	}
	data := aws.ToString(containerOf(found).ModelDataUrl)
	if data == a.ModelData.String() {
		return nil
	}
	return fault.Newf(fault.Conflict, "adopt model %s: it was made from %s, wanted %s", a.Name, data, a.ModelData).
		Hintf("delete that model in SageMaker if nothing serves it, and run it again")
}

// containerOf is the model's only container, or its first.
func containerOf(found *sagemaker.DescribeModelOutput) types.ContainerDefinition {
	if found.PrimaryContainer != nil {
		return *found.PrimaryContainer
	}
	if len(found.Containers) > 0 {
		return found.Containers[0]
	}
	return types.ContainerDefinition{}
}

// vanished is a name that was taken a moment ago and is not there now.
func vanished(kind, name string) error {
	return fault.Newf(fault.Conflict, "adopt %s %s: its name was taken, and now it is not there", kind, name).
		Hintf("another job works on it; run it again")
}
