package localcloud_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

func TestTrainingRequestsThatAreWrong(t *testing.T) {
	c := start(t, localcloud.Options{Runtime: &fakeRuntime{train: func(context.Context, runtime.Spec) int { return 0 }}})
	image := c.push(t, randomImage(t))
	many := func(n int, value string) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("k%d", i)] = value
		}
		return m
	}
	c.create(t, job("taken", image))
	for _, tt := range []struct {
		name   string
		change func(*sagemaker.CreateTrainingJobInput)
		want   string
	}{
		{"a name with a dot", func(in *sagemaker.CreateTrainingJobInput) { in.TrainingJobName = aws.String("a.b") }, "ValidationException"},
		{"a name with an underscore", func(in *sagemaker.CreateTrainingJobInput) { in.TrainingJobName = aws.String("a_b") }, "ValidationException"},
		{"a name that ends with a hyphen", func(in *sagemaker.CreateTrainingJobInput) { in.TrainingJobName = aws.String("a-") }, "ValidationException"},
		{"a name of 64 characters", func(in *sagemaker.CreateTrainingJobInput) {
			in.TrainingJobName = aws.String(strings.Repeat("a", 64))
		}, "ValidationException"},
		{"a name that is taken", func(in *sagemaker.CreateTrainingJobInput) { in.TrainingJobName = aws.String("taken") }, "ResourceInUse"},
		{"no image", func(in *sagemaker.CreateTrainingJobInput) { in.AlgorithmSpecification.TrainingImage = nil }, "ValidationException"},
		{"a role that is none", func(in *sagemaker.CreateTrainingJobInput) { in.RoleArn = aws.String("role") }, "ValidationException"},
		{"an output path that is none", func(in *sagemaker.CreateTrainingJobInput) {
			in.OutputDataConfig.S3OutputPath = aws.String("/tmp")
		}, "ValidationException"},
		{"an instance that is none", func(in *sagemaker.CreateTrainingJobInput) { in.ResourceConfig.InstanceType = "large" }, "ValidationException"},
		{"no instances", func(in *sagemaker.CreateTrainingJobInput) { in.ResourceConfig.InstanceCount = aws.Int32(0) }, "ValidationException"},
		{"101 hyperparameters", func(in *sagemaker.CreateTrainingJobInput) { in.HyperParameters = many(101, "x") }, "ValidationException"},
		{"a long hyperparameter", func(in *sagemaker.CreateTrainingJobInput) {
			in.HyperParameters = many(1, strings.Repeat("x", 2501))
		}, "ValidationException"},
		{"101 variables", func(in *sagemaker.CreateTrainingJobInput) { in.Environment = many(101, "x") }, "ValidationException"},
		{"a long variable", func(in *sagemaker.CreateTrainingJobInput) { in.Environment = many(1, strings.Repeat("x", 513)) }, "ValidationException"},
		{"51 tags", func(in *sagemaker.CreateTrainingJobInput) {
			for key := range many(51, "") {
				in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String("")})
			}
		}, "ValidationException"},
		{"a tag with braces", func(in *sagemaker.CreateTrainingJobInput) {
			in.Tags = []types.Tag{{Key: aws.String("a"), Value: aws.String("{}")}}
		}, "ValidationException"},
		{"two tags of one key", func(in *sagemaker.CreateTrainingJobInput) {
			in.Tags = []types.Tag{{Key: aws.String("a"), Value: aws.String("")}, {Key: aws.String("a"), Value: aws.String("")}}
		}, "ValidationException"},
		{"spot without a wait", func(in *sagemaker.CreateTrainingJobInput) { in.EnableManagedSpotTraining = aws.Bool(true) }, "ValidationException"},
		{"spot with a short wait", func(in *sagemaker.CreateTrainingJobInput) {
			in.EnableManagedSpotTraining, in.StoppingCondition.MaxWaitTimeInSeconds = aws.Bool(true), aws.Int32(599)
		}, "ValidationException"},
		{"a wait without spot", func(in *sagemaker.CreateTrainingJobInput) { in.StoppingCondition.MaxWaitTimeInSeconds = aws.Int32(600) }, "ValidationException"},
		{"29 days", func(in *sagemaker.CreateTrainingJobInput) {
			in.StoppingCondition.MaxRuntimeInSeconds = aws.Int32(29 * 86400)
		}, "ValidationException"},
		{"two channels of one name", func(in *sagemaker.CreateTrainingJobInput) {
			in.InputDataConfig = []types.Channel{input("a", "s3://b/c"), input("a", "s3://b/c")}
		}, "ValidationException"},
		{"a channel that is a path", func(in *sagemaker.CreateTrainingJobInput) {
			in.InputDataConfig = []types.Channel{input("..", "s3://b/c")}
		}, "ValidationException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := job("wrong", image)
			tt.change(in)
			_, err := c.train.CreateTrainingJob(t.Context(), in)
			if code(err) != tt.want {
				t.Errorf("CreateTrainingJob = %v, want %s", err, tt.want)
			}
			if inUse := (*types.ResourceInUse)(nil); tt.want == "ResourceInUse" && !errors.As(err, &inUse) {
				t.Errorf("CreateTrainingJob = %T, want *types.ResourceInUse", err)
			}
		})
	}
	_, err := c.train.DescribeTrainingJob(t.Context(), &sagemaker.DescribeTrainingJobInput{TrainingJobName: aws.String("wrong")})
	if code(err) != "ValidationException" || !strings.Contains(err.Error(), "Requested resource not found.") {
		t.Errorf("DescribeTrainingJob of a refused job = %v, want Requested resource not found.", err)
	}
}

func TestListingJobs(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := start(t, localcloud.Options{Now: func() time.Time { return now }, Runtime: &fakeRuntime{train: func(context.Context, runtime.Spec) int { return 0 }}})
	image := c.push(t, randomImage(t))
	for i := range 7 {
		c.create(t, job(fmt.Sprintf("job-%d", i), image))
		c.ended(t, fmt.Sprintf("job-%d", i))
		now = now.Add(time.Hour)
	}
	for _, tt := range []struct {
		name  string
		in    sagemaker.ListTrainingJobsInput
		want  string
		pages int
	}{
		{"all, oldest first", sagemaker.ListTrainingJobsInput{}, "0 1 2 3 4 5 6", 1},
		{"newest first, in pages", sagemaker.ListTrainingJobsInput{SortOrder: types.SortOrderDescending, MaxResults: aws.Int32(3)}, "6 5 4 3 2 1 0", 3},
		{"by name", sagemaker.ListTrainingJobsInput{NameContains: aws.String("B-3"), SortBy: types.SortByName}, "3", 1},
		{"after a time", sagemaker.ListTrainingJobsInput{CreationTimeAfter: aws.Time(now.Add(-2 * time.Hour))}, "5 6", 1},
		{"by status", sagemaker.ListTrainingJobsInput{StatusEquals: types.TrainingJobStatusFailed}, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			count := 0
			for pages := sagemaker.NewListTrainingJobsPaginator(c.train, &tt.in); pages.HasMorePages(); count++ {
				page, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatalf("ListTrainingJobs = %v", err)
				}
				for _, s := range page.TrainingJobSummaries {
					got = append(got, strings.TrimPrefix(aws.ToString(s.TrainingJobName), "job-"))
				}
			}
			if strings.Join(got, " ") != tt.want || count != tt.pages {
				t.Errorf("ListTrainingJobs = %v in %d pages, want %s in %d", got, count, tt.want, tt.pages)
			}
		})
	}
	_, err := c.train.ListTrainingJobs(t.Context(), &sagemaker.ListTrainingJobsInput{MaxResults: aws.Int32(101)})
	if code(err) != "ValidationException" {
		t.Errorf("ListTrainingJobs of 101 = %v, want ValidationException", err)
	}
}
