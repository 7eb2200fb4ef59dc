package cloud

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// What SageMaker allows a server to take until it answers /ping.
const (
	startupLeast = time.Minute
	startupMost  = time.Hour
)

// createConfig makes the endpoint config, or adopts the one of that name. The
// name holds a hash of the content, so the same name is the same config.
func (c *Cloud) createConfig(ctx context.Context, a plan.Deploy) error {
	found, err := c.describeConfig(ctx, a.Config)
	if err != nil {
		return err
	}
	if found == nil {
		_, err := c.sagemaker().CreateEndpointConfig(ctx, configInput(a))
		if err == nil {
			return nil
		}
		if !taken(err) {
			return call{"create endpoint config " + a.Config, "sagemaker:CreateEndpointConfig"}.fault(err)
		}
		if found, err = c.describeConfig(ctx, a.Config); err != nil {
			return err
		}
	}
	return c.adoptConfig(ctx, found, a)
}

func configInput(a plan.Deploy) *sagemaker.CreateEndpointConfigInput {
	variant := types.ProductionVariant{
		VariantName:          &a.Variant,
		ModelName:            aws.String(a.Model.String()),
		InstanceType:         types.ProductionVariantInstanceType(a.Instance),
		InitialInstanceCount: aws.Int32(int32(max(a.Count, 1))),
		InitialVariantWeight: aws.Float32(1),
	}
	if a.Startup > 0 {
		variant.ContainerStartupHealthCheckTimeoutInSeconds = seconds(min(max(time.Duration(a.Startup), startupLeast), startupMost))
	}
	return &sagemaker.CreateEndpointConfigInput{
		EndpointConfigName: &a.Config,
		ProductionVariants: []types.ProductionVariant{variant},
		KmsKeyId:           volumeKey(a.Instance, a.KMSKey),
		Tags:               tags(a.Tags, a.Identity),
	}
}

func (c *Cloud) adoptConfig(ctx context.Context, found *sagemaker.DescribeEndpointConfigOutput, a plan.Deploy) error {
	if found == nil {
		return vanished("endpoint config", a.Config)
	}
	if err := c.owned(ctx, "endpoint config "+a.Config, found.EndpointConfigArn, a.Identity); err != nil {
		return err
	}
	if len(found.ProductionVariants) == 1 && aws.ToString(found.ProductionVariants[0].ModelName) == a.Model.String() {
		return nil
	}
	return fault.Newf(fault.Conflict, "adopt endpoint config %s: it is for another model than %s", a.Config, a.Model).
		Hintf("delete that endpoint config if nothing uses it, and run it again")
}
