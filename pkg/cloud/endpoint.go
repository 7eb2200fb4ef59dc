package cloud

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
)

// EndpointState is what SageMaker says of an endpoint.
type EndpointState struct {
	Name     string    `json:"name"`
	ARN      string    `json:"arn,omitempty"`
	Status   string    `json:"status"` // as SageMaker writes it: InService, Updating, Failed…
	Config   string    `json:"config,omitempty"`
	Failure  string    `json:"failure,omitempty"`
	Modified time.Time `json:"modified,omitzero"`
}

// Endpoint looks at an endpoint, and says whether there is one.
func (c *Cloud) Endpoint(ctx context.Context, name string) (EndpointState, bool, error) {
	found, err := c.sagemaker().DescribeEndpoint(ctx, &sagemaker.DescribeEndpointInput{EndpointName: &name})
	if notFound(err) {
		return EndpointState{}, false, nil
	}
	if err != nil {
		return EndpointState{}, false, call{"look at endpoint " + name, "sagemaker:DescribeEndpoint"}.fault(err)
	}
	return EndpointState{
		Name:     name,
		ARN:      aws.ToString(found.EndpointArn),
		Status:   string(found.EndpointStatus),
		Config:   aws.ToString(found.EndpointConfigName),
		Failure:  aws.ToString(found.FailureReason),
		Modified: aws.ToTime(found.LastModifiedTime),
	}, true, nil
}

func (s EndpointState) is(statuses ...types.EndpointStatus) bool {
	return slices.Contains(statuses, types.EndpointStatus(s.Status))
}

// busy says that SageMaker works on it and accepts no change.
func (s EndpointState) busy() bool {
	return s.is(types.EndpointStatusCreating, types.EndpointStatusUpdating, types.EndpointStatusSystemUpdating,
		types.EndpointStatusRollingBack, types.EndpointStatusDeleting)
}

// serves says that it answers requests, be it with an older model for now.
func (s EndpointState) serves() bool {
	return s.is(types.EndpointStatusInService, types.EndpointStatusUpdating, types.EndpointStatusSystemUpdating,
		types.EndpointStatusRollingBack, types.EndpointStatusUpdateRollbackFailed)
}

// JobState is what SageMaker says of a training job.
type JobState struct {
	Name      string    `json:"name"`
	ARN       string    `json:"arn,omitempty"`
	Status    string    `json:"status"`
	Secondary string    `json:"secondary,omitempty"` // what it is doing: Downloading, Training…
	Failure   string    `json:"failure,omitempty"`
	Started   time.Time `json:"started,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
}

// TrainingJob looks at a training job, and says whether there is one.
func (c *Cloud) TrainingJob(ctx context.Context, name string) (JobState, bool, error) {
	found, err := c.describeTraining(ctx, name)
	if err != nil || found == nil {
		return JobState{}, false, err
	}
	return JobState{
		Name:      name,
		ARN:       aws.ToString(found.TrainingJobArn),
		Status:    string(found.TrainingJobStatus),
		Secondary: string(found.SecondaryStatus),
		Failure:   aws.ToString(found.FailureReason),
		Started:   aws.ToTime(found.TrainingStartTime),
		Ended:     aws.ToTime(found.TrainingEndTime),
	}, true, nil
}

// Serving is the release that an endpoint serves.
type Serving struct {
	Endpoint  string `json:"endpoint"`
	Status    string `json:"status"`
	Config    string `json:"config"`
	Model     string `json:"model"`
	Identity  string `json:"identity,omitempty"` // "" if the model carries no tags of ours
	Version   string `json:"version,omitempty"`
	Image     string `json:"image,omitempty"`
	ModelData string `json:"model_data,omitempty"`
}

// Champion follows an endpoint to its config, its model and that model's tags.
// There is none if the endpoint is missing or does not serve. A config or a
// model that was deleted under it leaves the fields it would fill empty.
func (c *Cloud) Champion(ctx context.Context, endpoint string) (Serving, bool, error) {
	state, found, err := c.Endpoint(ctx, endpoint)
	if err != nil || !found || !state.serves() {
		return Serving{Endpoint: endpoint, Status: state.Status}, false, err
	}
	serving := Serving{Endpoint: endpoint, Status: state.Status, Config: state.Config}
	config, err := c.describeConfig(ctx, state.Config)
	if err != nil || config == nil || len(config.ProductionVariants) == 0 {
		return serving, err == nil, err
	}
	serving.Model = aws.ToString(heaviest(config.ProductionVariants).ModelName)
	model, err := c.describeModel(ctx, serving.Model)
	if err != nil || model == nil {
		return serving, err == nil, err
	}
	container := containerOf(model)
	serving.Image, serving.ModelData = aws.ToString(container.Image), aws.ToString(container.ModelDataUrl)
	tags, err := c.tagsOf(ctx, model.ModelArn)
	if err != nil {
		return serving, false, err
	}
	serving.Identity, serving.Version = tags[tagIdentity], tags[tagVersion]
	return serving, true, nil
}

// heaviest is the variant that gets the most traffic.
func heaviest(variants []types.ProductionVariant) types.ProductionVariant {
	return slices.MaxFunc(variants, func(a, b types.ProductionVariant) int {
		return cmp.Compare(aws.ToFloat32(a.InitialVariantWeight), aws.ToFloat32(b.InitialVariantWeight))
	})
}

// describeConfig is nil for a config that is not there.
func (c *Cloud) describeConfig(ctx context.Context, name string) (*sagemaker.DescribeEndpointConfigOutput, error) {
	found, err := c.sagemaker().DescribeEndpointConfig(ctx, &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: &name})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, call{"look at endpoint config " + name, "sagemaker:DescribeEndpointConfig"}.fault(err)
	}
	return found, nil
}
