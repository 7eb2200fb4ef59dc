package localcloud_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

func TestWhatAProgramMayLeave(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, "secret", "secret")
	for _, tt := range []struct {
		name  string
		leave func(ml string) error
		want  types.TrainingJobStatus
		model map[string]string
	}{
		{"no model at all", func(string) error { return nil }, types.TrainingJobStatusCompleted, map[string]string{}},
		{"the folder removed", func(ml string) error { return os.RemoveAll(filepath.Join(ml, "model")) }, types.TrainingJobStatusCompleted, map[string]string{}},
		{"a link to elsewhere in it", func(ml string) error { return os.Symlink(outside, filepath.Join(ml, "model", "link")) }, types.TrainingJobStatusCompleted, map[string]string{"link": outside}},
		{"a link in place of it", func(ml string) error {
			if err := os.RemoveAll(filepath.Join(ml, "model")); err != nil {
				return err
			}
			return os.Symlink(outside, filepath.Join(ml, "model"))
		}, types.TrainingJobStatusFailed, nil},
		{"a pipe", func(ml string) error { return syscall.Mkfifo(filepath.Join(ml, "model", "pipe"), 0o600) }, types.TrainingJobStatusCompleted, map[string]string{}},
		{"a pipe in place of the reason", func(ml string) error {
			return syscall.Mkfifo(filepath.Join(ml, "output", "failure"), 0o600)
		}, types.TrainingJobStatusFailed, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			train := func(_ context.Context, spec runtime.Spec) int {
				if err := tt.leave(spec.OptML); err != nil {
					t.Error(err)
				}
				if strings.HasSuffix(tt.name, "reason") {
					return 1
				}
				return 0
			}
			c := start(t, localcloud.Options{Runtime: &fakeRuntime{train: train}})
			c.create(t, job("j", c.push(t, randomImage(t))))
			out := c.ended(t, "j")
			if out.TrainingJobStatus != tt.want {
				t.Fatalf("the job ended as %s: %s, want %s", out.TrainingJobStatus, aws.ToString(out.FailureReason), tt.want)
			}
			if tt.model == nil {
				return
			}
			if diff := cmp.Diff(tt.model, c.archive(t, "p/training/j/output/model.tar.gz")); diff != "" {
				t.Errorf("model.tar.gz (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckpointsGoFromJobToJob(t *testing.T) {
	saw := make(chan map[string]string, 2)
	train := func(_ context.Context, spec runtime.Spec) int {
		saw <- files(t, filepath.Join(spec.OptML, "checkpoints"))
		write(t, spec.OptML, "checkpoints/epoch/1", "weights")
		return 0
	}
	c := start(t, localcloud.Options{Runtime: &fakeRuntime{train: train}})
	image := c.push(t, randomImage(t))
	for _, want := range []map[string]string{{}, {"epoch/1": "weights"}} {
		in := job("job-"+strings.Repeat("x", len(want)+1), image)
		in.CheckpointConfig = &types.CheckpointConfig{S3Uri: aws.String("s3://" + localcloud.Bucket + "/checkpoints")}
		c.create(t, in)
		if out := c.ended(t, aws.ToString(in.TrainingJobName)); out.TrainingJobStatus != types.TrainingJobStatusCompleted {
			t.Fatalf("the job ended as %s: %s", out.TrainingJobStatus, aws.ToString(out.FailureReason))
		}
		if diff := cmp.Diff(want, <-saw); diff != "" {
			t.Errorf("checkpoints (-want +got):\n%s", diff)
		}
	}
}

func TestWhatABrokenRuntimeSays(t *testing.T) {
	c := start(t, localcloud.Options{Runtime: &fakeRuntime{}})
	c.create(t, job("j", c.push(t, randomImage(t))))
	if got := aws.ToString(c.ended(t, "j").FailureReason); got != "InternalServerError: start the training image: there is nothing to run" {
		t.Errorf("FailureReason = %s", got)
	}
	_, err := c.train.StopTrainingJob(t.Context(), &sagemaker.StopTrainingJobInput{TrainingJobName: aws.String("none")})
	if code(err) != "ValidationException" {
		t.Errorf("StopTrainingJob of no job = %v, want ValidationException", err)
	}
}
