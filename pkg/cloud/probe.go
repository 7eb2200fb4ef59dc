package cloud

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/smithy-go"

	"gitlab.com/towline/towline/pkg/fault"
)

// SignIn gets credentials, as every request does before it is sent.
func (c *Cloud) SignIn(ctx context.Context) error {
	_, err := c.aws.Credentials.Retrieve(ctx)
	request := call{"sign in to AWS", "sts:AssumeRole"}
	switch known := (*fault.Error)(nil); {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case cutOff(err) != nil:
		return request.fault(err)
	}
	return request.unknown(err)
}

// Describable is a kind of resource of SageMaker that can be described.
type Describable struct {
	Kind   string // as in its ARN
	Action string // the permission to do so
	ask    func(ctx context.Context, api *sagemaker.Client, name *string) error
}

// Describables are those that a release makes.
func Describables() []Describable {
	return []Describable{
		{"training-job", "sagemaker:DescribeTrainingJob", func(ctx context.Context, api *sagemaker.Client, name *string) error {
			_, err := api.DescribeTrainingJob(ctx, &sagemaker.DescribeTrainingJobInput{TrainingJobName: name})
			return err
		}},
		{"model", "sagemaker:DescribeModel", func(ctx context.Context, api *sagemaker.Client, name *string) error {
			_, err := api.DescribeModel(ctx, &sagemaker.DescribeModelInput{ModelName: name})
			return err
		}},
		{"endpoint-config", "sagemaker:DescribeEndpointConfig", func(ctx context.Context, api *sagemaker.Client, name *string) error {
			_, err := api.DescribeEndpointConfig(ctx, &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: name})
			return err
		}},
		{"endpoint", "sagemaker:DescribeEndpoint", func(ctx context.Context, api *sagemaker.Client, name *string) error {
			_, err := api.DescribeEndpoint(ctx, &sagemaker.DescribeEndpointInput{EndpointName: name})
			return err
		}},
	}
}

// Describe asks about a resource, and says whether it is there. Who may not
// ask is denied, whether it is there or not. Nothing is listed: lists are
// limited to two a second.
func (c *Cloud) Describe(ctx context.Context, d Describable, name string) (there bool, err error) {
	err = d.ask(ctx, c.sagemaker(), &name)
	if notFound(err) {
		return false, nil
	}
	return err == nil, call{"describe " + strings.ReplaceAll(d.Kind, "-", " ") + " " + name, d.Action}.fault(err)
}

// MayReadLogs asks for the logs of a training job that need not be there.
func (c *Cloud) MayReadLogs(ctx context.Context, job string) error {
	_, err := c.logs().DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{
		LogGroupName: aws.String(trainingLogs), LogStreamNamePrefix: aws.String(job + "/"), Limit: aws.Int32(1),
	})
	if notFound(err) {
		return nil
	}
	return call{"read the training's log", "logs:DescribeLogStreams"}.fault(err)
}

// HasRepository asks ECR whether there is an image repository, named host/path.
func (c *Cloud) HasRepository(ctx context.Context, repository string) (bool, error) {
	host, path, _ := strings.Cut(repository, "/")
	parts := ecrHost().FindStringSubmatch(host)
	if parts == nil {
		return false, fault.Newf(fault.Repository, "find image repository %s: it is none of ECR", repository)
	}
	client := ecr.NewFromConfig(c.aws, func(o *ecr.Options) { o.Region = parts[1] })
	_, err := client.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{
		RepositoryNames: []string{path}, RegistryId: aws.String(host[:accountDigits]),
	})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "RepositoryNotFoundException" {
		return false, nil
	}
	return err == nil, call{"find image repository " + repository, "ecr:DescribeRepositories"}.fault(err)
}

// accountDigits is how long the number of an account is.
const accountDigits = 12
