package cloud

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gitlab.com/towline/towline/pkg/plan"
)

// spotPatience is how many times its longest run a job may take on spot
// instances, with the waiting for them.
const spotPatience = 2

// trainingInput is the request for one attempt.
func trainingInput(name string, a plan.Train) *sagemaker.CreateTrainingJobInput {
	input := &sagemaker.CreateTrainingJobInput{
		TrainingJobName: &name,
		RoleArn:         &a.Role,
		AlgorithmSpecification: &types.AlgorithmSpecification{
			TrainingImage:       aws.String(a.Image.String()),
			TrainingInputMode:   types.TrainingInputModeFile,
			ContainerEntrypoint: a.Entrypoint,
		},
		HyperParameters: a.Hyperparameters,
		Environment:     a.Environment,
		OutputDataConfig: &types.OutputDataConfig{
			S3OutputPath: &a.Output, KmsKeyId: text(a.KMSKey),
		},
		ResourceConfig: &types.ResourceConfig{
			InstanceType:   types.TrainingInstanceType(a.Instance),
			InstanceCount:  aws.Int32(int32(max(a.Count, 1))),
			VolumeSizeInGB: aws.Int32(int32(a.VolumeGB)),
			VolumeKmsKeyId: volumeKey(a.Instance, a.KMSKey),
		},
		StoppingCondition: &types.StoppingCondition{MaxRuntimeInSeconds: seconds(time.Duration(a.MaxRuntime))},
		VpcConfig:         vpcConfig(a.VPC),
		Tags:              tags(a.Tags, a.Identity),
	}
	if a.Spot {
		input.EnableManagedSpotTraining = aws.Bool(true)
		input.StoppingCondition.MaxWaitTimeInSeconds = seconds(spotPatience * time.Duration(a.MaxRuntime))
	}
	for _, in := range a.Inputs {
		input.InputDataConfig = append(input.InputDataConfig, channel(in))
	}
	return input
}

// channel gives every host the whole data.
func channel(in plan.Input) types.Channel {
	return types.Channel{
		ChannelName: aws.String(in.Channel),
		DataSource: &types.DataSource{S3DataSource: &types.S3DataSource{
			S3DataType:             types.S3DataTypeS3Prefix,
			S3Uri:                  aws.String(in.URI),
			S3DataDistributionType: types.S3DataDistributionFullyReplicated,
		}},
	}
}

// seconds is nil for no duration, and whole seconds, rounded up, otherwise.
func seconds(d time.Duration) *int32 {
	if d <= 0 {
		return nil
	}
	return aws.Int32(int32((d + time.Second - 1) / time.Second))
}

// volumeKey leaves the key away for instances whose disks are their own: AWS
// refuses VolumeKmsKeyId there, and those disks are encrypted by hardware.
func volumeKey(instance, key string) *string {
	family, _, _ := strings.Cut(strings.TrimPrefix(instance, "ml."), ".")
	for _, local := range []string{"g4dn", "g5", "g6", "g6e", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "trn1", "trn1n", "trn2"} {
		if family == local {
			return nil
		}
	}
	if strings.HasSuffix(family, "d") { // m5d, c6gd, r7gd …
		return nil
	}
	return text(key)
}
