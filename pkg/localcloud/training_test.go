package localcloud_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// job is a request that is right in every way.
func job(name, image string) *sagemaker.CreateTrainingJobInput {
	return &sagemaker.CreateTrainingJobInput{
		TrainingJobName:        aws.String(name),
		AlgorithmSpecification: &types.AlgorithmSpecification{TrainingImage: aws.String(image), TrainingInputMode: types.TrainingInputModeFile},
		RoleArn:                aws.String(localcloud.Role),
		OutputDataConfig:       &types.OutputDataConfig{S3OutputPath: aws.String("s3://" + localcloud.Bucket + "/p/training")},
		ResourceConfig:         &types.ResourceConfig{InstanceType: types.TrainingInstanceTypeMlM5Large, InstanceCount: aws.Int32(1), VolumeSizeInGB: aws.Int32(5)},
		StoppingCondition:      &types.StoppingCondition{MaxRuntimeInSeconds: aws.Int32(600)},
	}
}

func input(name, uri string) types.Channel {
	return types.Channel{ChannelName: aws.String(name), DataSource: &types.DataSource{S3DataSource: &types.S3DataSource{S3DataType: types.S3DataTypeS3Prefix, S3Uri: aws.String(uri)}}}
}

func (c *cloud) create(t *testing.T, in *sagemaker.CreateTrainingJobInput) {
	t.Helper()
	if _, err := c.train.CreateTrainingJob(t.Context(), in); err != nil {
		t.Fatalf("CreateTrainingJob = %v", err)
	}
}

func (c *cloud) describe(t *testing.T, name string) *sagemaker.DescribeTrainingJobOutput {
	t.Helper()
	out, err := c.train.DescribeTrainingJob(t.Context(), &sagemaker.DescribeTrainingJobInput{TrainingJobName: aws.String(name)})
	if err != nil {
		t.Fatalf("DescribeTrainingJob(%s) = %v", name, err)
	}
	return out
}

// ended waits for the end of a job.
func (c *cloud) ended(t *testing.T, name string) *sagemaker.DescribeTrainingJobOutput {
	t.Helper()
	var out *sagemaker.DescribeTrainingJobOutput
	eventually(t, "the end of job "+name, func() bool {
		out = c.describe(t, name)
		return out.TrainingEndTime != nil
	})
	return out
}

// files reads what a folder or an archive holds, by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[name] = string(content)
		return err
	})
	if err != nil {
		t.Errorf("walk: %v", err)
	}
	return found
}

func (c *cloud) archive(t *testing.T, key string) map[string]string {
	t.Helper()
	unzipped, err := gzip.NewReader(strings.NewReader(c.get(t, key)))
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	found := map[string]string{}
	for in := tar.NewReader(unzipped); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		found[header.Name] = string(content) + header.Linkname
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Error(err)
	}
}

func TestATrainingJob(t *testing.T) {
	var saw map[string]string
	fake := &fakeRuntime{train: func(_ context.Context, spec runtime.Spec) int {
		saw = files(t, spec.OptML)
		write(t, spec.OptML, "model/weights/w.bin", "weights")
		if err := os.Symlink("weights/w.bin", filepath.Join(spec.OptML, "model", "latest")); err != nil {
			t.Error(err)
		}
		write(t, spec.OptML, "output/data/evaluation.json", `{"f1": 0.97}`)
		_, _ = fmt.Fprintf(spec.Log, "one\ntwo\nan end without a line's end")
		return 0
	}}
	c := start(t, localcloud.Options{Runtime: fake})
	c.put(t, "data/train/a.csv", "a")
	c.put(t, "data/train/sub/b.csv", "b")
	c.put(t, "data/train.csv", "not of the channel")
	in := job("first", c.push(t, randomImage(t)))
	in.HyperParameters = map[string]string{"depth": "6"}
	in.Environment = map[string]string{"TOWLINE_MODEL": "m"}
	in.InputDataConfig = []types.Channel{input("train", "s3://"+localcloud.Bucket+"/data/train/"), input("one", "s3://"+localcloud.Bucket+"/data/train/a.csv")}
	in.Tags = []types.Tag{{Key: aws.String("towline:identity"), Value: aws.String("x")}}
	c.create(t, in)
	out := c.ended(t, "first")
	if out.TrainingJobStatus != types.TrainingJobStatusCompleted {
		t.Fatalf("the job ended as %s: %s", out.TrainingJobStatus, aws.ToString(out.FailureReason))
	}
	if got, want := aws.ToString(out.ModelArtifacts.S3ModelArtifacts), "s3://towline-local/p/training/first/output/model.tar.gz"; got != want {
		t.Errorf("S3ModelArtifacts = %s, want %s", got, want)
	}
	if out.HyperParameters["depth"] != "6" || out.Environment["TOWLINE_MODEL"] != "m" || out.ResourceConfig.InstanceType != types.TrainingInstanceTypeMlM5Large {
		t.Errorf("DescribeTrainingJob does not tell the request: %+v", out)
	}
	var states []string
	for i, s := range out.SecondaryStatusTransitions {
		states = append(states, string(s.Status))
		if s.StartTime == nil || s.EndTime == nil || i > 0 && s.StartTime.Before(aws.ToTime(out.SecondaryStatusTransitions[i-1].EndTime)) {
			t.Errorf("transition %+v has no times in order", s)
		}
	}
	if diff := cmp.Diff("Starting Downloading Training Uploading Completed", strings.Join(states, " ")); diff != "" {
		t.Errorf("secondary statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"weights/": "", "weights/w.bin": "weights", "latest": "weights/w.bin"}, c.archive(t, "p/training/first/output/model.tar.gz")); diff != "" {
		t.Errorf("model.tar.gz (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"evaluation.json": `{"f1": 0.97}`}, c.archive(t, "p/training/first/output/output.tar.gz")); diff != "" {
		t.Errorf("output.tar.gz (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"input/config/hyperparameters.json", "input/config/inputdataconfig.json", "input/config/resourceconfig.json", "input/data/one/a.csv", "input/data/train/a.csv", "input/data/train/sub/b.csv"}, slices.Sorted(maps.Keys(saw))); diff != "" {
		t.Errorf("/opt/ml (-want +got):\n%s", diff)
	}
	spec, _ := fake.last()
	if diff := cmp.Diff(map[string]string{"TRAINING_JOB_NAME": "first", "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:000000000000:training-job/first", "TOWLINE_MODEL": "m"}, spec.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(spec.OptML); err == nil {
		t.Error("the job's files are still there")
	}
	c.checkLog(t, "first")
	c.checkTags(t, aws.ToString(out.TrainingJobArn))
}

func TestATrainingJobWithAnEntrypoint(t *testing.T) {
	fake := &fakeRuntime{train: func(context.Context, runtime.Spec) int { return 0 }}
	c := start(t, localcloud.Options{Runtime: fake})
	image := c.push(t, randomImage(t))
	for _, tt := range []struct {
		name            string
		entry, argument []string
		args            []string
	}{
		{"neither", nil, nil, []string{"train"}},
		{"an-entrypoint", []string{"/bin/evaluate", "-x"}, nil, nil},
		{"arguments", nil, []string{"a"}, []string{"a"}},
		{"both", []string{"/bin/evaluate"}, []string{"a"}, []string{"a"}},
	} {
		in := job(tt.name, image)
		in.AlgorithmSpecification.ContainerEntrypoint, in.AlgorithmSpecification.ContainerArguments = tt.entry, tt.argument
		c.create(t, in)
		out := c.ended(t, tt.name)
		if !slices.Equal(out.AlgorithmSpecification.ContainerEntrypoint, tt.entry) {
			t.Errorf("%s: DescribeTrainingJob tells of the entrypoint %q, want %q", tt.name, out.AlgorithmSpecification.ContainerEntrypoint, tt.entry)
		}
		if spec, _ := fake.last(); !slices.Equal(spec.Entry, tt.entry) || !slices.Equal(spec.Args, tt.args) {
			t.Errorf("%s: ran %q %q, want %q %q", tt.name, spec.Entry, spec.Args, tt.entry, tt.args)
		}
	}
	in := job("long", image)
	in.AlgorithmSpecification.ContainerEntrypoint = []string{strings.Repeat("x", 257)}
	_, err := c.train.CreateTrainingJob(t.Context(), in)
	if code(err) != "ValidationException" || !strings.Contains(err.Error(), "containerEntrypoint.1.member") {
		t.Errorf("CreateTrainingJob with a long word = %v", err)
	}
}

func (c *cloud) checkLog(t *testing.T, name string) {
	t.Helper()
	streams, err := c.logs.DescribeLogStreams(t.Context(), &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: aws.String("/aws/sagemaker/TrainingJobs"), LogStreamNamePrefix: aws.String(name + "/")})
	if err != nil || len(streams.LogStreams) != 1 || !strings.HasPrefix(aws.ToString(streams.LogStreams[0].LogStreamName), name+"/algo-1-") {
		t.Fatalf("DescribeLogStreams = %+v, %v, want one of %s", streams, err, name)
	}
	var lines []string
	in := &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("/aws/sagemaker/TrainingJobs"), LogStreamName: streams.LogStreams[0].LogStreamName, StartFromHead: aws.Bool(true), Limit: aws.Int32(2)}
	for {
		out, err := c.logs.GetLogEvents(t.Context(), in)
		if err != nil {
			t.Fatalf("GetLogEvents = %v", err)
		}
		for _, e := range out.Events {
			lines = append(lines, aws.ToString(e.Message))
		}
		if aws.ToString(out.NextForwardToken) == aws.ToString(in.NextToken) {
			break
		}
		in.NextToken = out.NextForwardToken
	}
	if diff := cmp.Diff([]string{"one", "two", "an end without a line's end"}, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	last, err := c.logs.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: in.LogGroupName, LogStreamName: in.LogStreamName, Limit: aws.Int32(1)})
	if err != nil || len(last.Events) != 1 || aws.ToString(last.Events[0].Message) != lines[2] {
		t.Errorf("GetLogEvents of the end = %+v, %v, want the last line", last, err)
	}
	before, err := c.logs.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: in.LogGroupName, LogStreamName: in.LogStreamName, Limit: aws.Int32(1), NextToken: last.NextBackwardToken})
	if err != nil || len(before.Events) != 1 || aws.ToString(before.Events[0].Message) != "two" {
		t.Errorf("GetLogEvents backward = %+v, %v, want the line before", before, err)
	}
	found, err := c.logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: in.LogGroupName, FilterPattern: aws.String("end line's")})
	if err != nil || len(found.Events) != 1 {
		t.Errorf("FilterLogEvents = %+v, %v, want one", found, err)
	}
	_, err = c.logs.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: in.LogGroupName, LogStreamName: aws.String("none")})
	if code(err) != "ResourceNotFoundException" {
		t.Errorf("GetLogEvents of no stream = %v, want ResourceNotFoundException", err)
	}
}

func (c *cloud) checkTags(t *testing.T, arn string) {
	t.Helper()
	_, err := c.train.AddTags(t.Context(), &sagemaker.AddTagsInput{ResourceArn: aws.String(arn), Tags: []types.Tag{{Key: aws.String("b"), Value: aws.String("1")}, {Key: aws.String("c"), Value: aws.String("2")}}})
	if err != nil {
		t.Errorf("AddTags = %v", err)
	}
	if _, err := c.train.DeleteTags(t.Context(), &sagemaker.DeleteTagsInput{ResourceArn: aws.String(arn), TagKeys: []string{"c"}}); err != nil {
		t.Errorf("DeleteTags = %v", err)
	}
	out, err := c.train.ListTags(t.Context(), &sagemaker.ListTagsInput{ResourceArn: aws.String(arn)})
	if err != nil || len(out.Tags) != 2 || aws.ToString(out.Tags[0].Key) != "towline:identity" || aws.ToString(out.Tags[1].Key) != "b" {
		t.Errorf("ListTags = %+v, %v", out, err)
	}
	for _, arn := range []string{"arn:aws:sagemaker:us-east-1:000000000000:model/none", "arn:aws:s3:::x"} {
		_, err := c.train.ListTags(t.Context(), &sagemaker.ListTagsInput{ResourceArn: aws.String(arn)})
		if code(err) != "ValidationException" {
			t.Errorf("ListTags(%s) = %v, want ValidationException", arn, err)
		}
	}
}

func TestHowATrainingJobFails(t *testing.T) {
	train := func(_ context.Context, spec runtime.Spec) int {
		write(t, spec.OptML, "output/data/partial.json", "{}")
		switch spec.Env["DO"] {
		case "fail":
			write(t, spec.OptML, "output/failure", strings.Repeat("x", 2000))
		case "link":
			if err := os.Symlink("/etc/passwd", filepath.Join(spec.OptML, "output", "failure")); err != nil {
				t.Error(err)
			}
		}
		return 3
	}
	c := start(t, localcloud.Options{Runtime: &fakeRuntime{train: train}})
	image := c.push(t, randomImage(t))
	port := c.URL()[strings.LastIndex(c.URL(), ":"):]
	for i, tt := range []struct {
		name   string
		change func(*sagemaker.CreateTrainingJobInput)
		want   string
	}{
		{"the code wrote why", func(in *sagemaker.CreateTrainingJobInput) { in.Environment = map[string]string{"DO": "fail"} }, "AlgorithmError: " + strings.Repeat("x", 1024) + ", exit code: 3"},
		{"the code wrote nothing", func(*sagemaker.CreateTrainingJobInput) {}, "AlgorithmError: , exit code: 3"},
		{"the failure file is a link", func(in *sagemaker.CreateTrainingJobInput) { in.Environment = map[string]string{"DO": "link"} }, "AlgorithmError: , exit code: 3"},
		{"the image is elsewhere", func(in *sagemaker.CreateTrainingJobInput) {
			in.AlgorithmSpecification.TrainingImage = aws.String("docker.example/a/b:1")
		}, "ClientError: Cannot pull image docker.example/a/b:1: "},
		{"the image is not there", func(in *sagemaker.CreateTrainingJobInput) {
			in.AlgorithmSpecification.TrainingImage = aws.String("localhost" + port + "/project/none:1")
		}, "ClientError: Cannot pull image localhost"},
		{"the data is not there", func(in *sagemaker.CreateTrainingJobInput) {
			in.InputDataConfig = []types.Channel{input("train", "s3://"+localcloud.Bucket+"/none/")}
		}, "ClientError: Data download failed:NoSuchKey: No objects were found under s3://towline-local/none/"},
		{"the data's bucket is not there", func(in *sagemaker.CreateTrainingJobInput) {
			in.InputDataConfig = []types.Channel{input("train", "s3://none/")}
		}, "ClientError: Data download failed:NoSuchBucket: "},
		{"the output's bucket is not there", func(in *sagemaker.CreateTrainingJobInput) {
			in.OutputDataConfig.S3OutputPath = aws.String("s3://none/x")
		}, "ClientError: NoSuchBucket: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := fmt.Sprintf("job-%d", i)
			in := job(name, image)
			tt.change(in)
			c.create(t, in)
			out := c.ended(t, name)
			if out.TrainingJobStatus != types.TrainingJobStatusFailed || out.SecondaryStatus != types.SecondaryStatusFailed || !strings.HasPrefix(aws.ToString(out.FailureReason), tt.want) {
				t.Errorf("the job ended as %s, %s: %s, want Failed: %s", out.TrainingJobStatus, out.SecondaryStatus, aws.ToString(out.FailureReason), tt.want)
			}
			_, err := c.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(localcloud.Bucket), Key: aws.String("p/training/" + name + "/output/model.tar.gz")})
			if err == nil {
				t.Error("a failed job has a model")
			}
			if strings.HasPrefix(tt.want, "AlgorithmError") {
				c.archive(t, "p/training/"+name+"/output/output.tar.gz")
			}
		})
	}
}

// untilStopped trains until SIGTERM, and then leaves a model.
func untilStopped(t *testing.T) func(context.Context, runtime.Spec) int {
	return func(ctx context.Context, spec runtime.Spec) int {
		write(t, spec.OptML, "model/partial", "x")
		<-ctx.Done()
		if spec.Env["DO"] == "hang" {
			select {}
		}
		return 143
	}
}

func TestStoppingATrainingJob(t *testing.T) {
	c := start(t, localcloud.Options{Runtime: &fakeRuntime{train: untilStopped(t)}, StopGrace: 50 * time.Millisecond})
	image := c.push(t, randomImage(t))
	for _, tt := range []struct {
		name   string
		stop   bool
		change func(*sagemaker.CreateTrainingJobInput)
		want   types.SecondaryStatus
	}{
		{"by-request", true, func(*sagemaker.CreateTrainingJobInput) {}, types.SecondaryStatusStopped},
		{"that-hangs", true, func(in *sagemaker.CreateTrainingJobInput) { in.Environment = map[string]string{"DO": "hang"} }, types.SecondaryStatusStopped},
		{"too-long", false, func(in *sagemaker.CreateTrainingJobInput) { in.StoppingCondition.MaxRuntimeInSeconds = aws.Int32(1) }, types.SecondaryStatusMaxRuntimeExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := job(tt.name, image)
			tt.change(in)
			c.create(t, in)
			eventually(t, "training", func() bool { return c.describe(t, tt.name).SecondaryStatus == types.SecondaryStatusTraining })
			if tt.stop {
				if _, err := c.train.StopTrainingJob(t.Context(), &sagemaker.StopTrainingJobInput{TrainingJobName: aws.String(tt.name)}); err != nil {
					t.Fatalf("StopTrainingJob = %v", err)
				}
			}
			out := c.ended(t, tt.name)
			if out.TrainingJobStatus != types.TrainingJobStatusStopped || out.SecondaryStatus != tt.want {
				t.Errorf("the job ended as %s, %s, want Stopped, %s", out.TrainingJobStatus, out.SecondaryStatus, tt.want)
			}
			if got := c.archive(t, "p/training/"+tt.name+"/output/model.tar.gz"); got["partial"] != "x" {
				t.Errorf("the stopped job's model = %v", got)
			}
			_, err := c.train.StopTrainingJob(t.Context(), &sagemaker.StopTrainingJobInput{TrainingJobName: aws.String(tt.name)})
			if code(err) != "ValidationException" {
				t.Errorf("StopTrainingJob of a stopped job = %v, want ValidationException", err)
			}
		})
	}
}

func TestJobsEndWithTheCloud(t *testing.T) {
	fake := &fakeRuntime{train: untilStopped(t)}
	c := start(t, localcloud.Options{Runtime: fake, StopGrace: 50 * time.Millisecond})
	c.create(t, job("cut", c.push(t, randomImage(t))))
	eventually(t, "training", func() bool { return c.describe(t, "cut").SecondaryStatus == types.SecondaryStatusTraining })
	dir := c.dir
	c.close(t)
	_, task := fake.last()
	select {
	case <-task.done:
	default:
		t.Error("Close left the program running")
	}
	c = start(t, localcloud.Options{Dir: dir, Runtime: fake})
	out := c.describe(t, "cut")
	if got := aws.ToString(out.FailureReason); out.TrainingJobStatus != types.TrainingJobStatusFailed || got != "InternalServerError: the local cloud was stopped" {
		t.Errorf("the job is %s: %s", out.TrainingJobStatus, got)
	}
}

func TestJobsOfAKilledCloud(t *testing.T) {
	c := start(t, localcloud.Options{Runtime: &fakeRuntime{train: untilStopped(t)}, StopGrace: 50 * time.Millisecond})
	c.create(t, job("lost", c.push(t, randomImage(t))))
	eventually(t, "training", func() bool { return c.describe(t, "lost").SecondaryStatus == types.SecondaryStatusTraining })
	dir := t.TempDir() // what a killed process leaves: its folder as it is
	if err := os.CopyFS(dir, os.DirFS(c.dir)); err != nil {
		t.Fatal(err)
	}
	if running, found := localcloud.Find(dir); found {
		t.Errorf("Find = %+v, want nothing: the file is another's", running)
	}
	c = start(t, localcloud.Options{Dir: dir})
	out := c.describe(t, "lost")
	if got := aws.ToString(out.FailureReason); out.TrainingJobStatus != types.TrainingJobStatusFailed || got != "InternalServerError: the local cloud stopped while this job ran" {
		t.Errorf("the job is %s: %s", out.TrainingJobStatus, got)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "sagemaker", "work")); err == nil && len(left) > 0 {
		t.Errorf("the killed cloud's files are still there: %v", left)
	}
}
