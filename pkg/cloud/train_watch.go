package cloud

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

const lastLines = 5 * time.Second // until the last lines of a log can be read, at most

// finish waits for the job's end. If the waiting is cut off, a job that was
// started here is stopped, and one that was found is left alone.
func (c *Cloud) finish(ctx context.Context, j job, a plan.Train) (plan.Receipt, error) {
	state, err := c.watch(ctx, j, a)
	if err == nil {
		return trained(state, j, a)
	}
	if ctx.Err() == nil || !j.created {
		if fault.KindOf(err) != fault.Conflict {
			c.log("training job " + j.name + ": left as it is; run it again to wait for it")
		}
		return plan.Receipt{}, err
	}
	after, cancel := afterwards(ctx)
	defer cancel()
	c.stopTraining(after, j.name)
	return plan.Receipt{}, err
}

// stopTraining asks for the job's end and says so.
func (c *Cloud) stopTraining(ctx context.Context, name string) {
	_, err := c.sagemaker().StopTrainingJob(ctx, &sagemaker.StopTrainingJobInput{TrainingJobName: &name})
	if err != nil {
		c.log(call{"stop training job " + name, "sagemaker:StopTrainingJob"}.fault(err).Error() + "; it may go on running")
		return
	}
	c.log("training job " + name + ": stopped, because towline was interrupted")
}

// watch looks at the job until it has ended, and hands on its log and its states.
func (c *Cloud) watch(ctx context.Context, j job, a plan.Train) (*sagemaker.DescribeTrainingJobOutput, error) {
	log, said, ran := c.tail(j.name), types.SecondaryStatus(""), j.created
	deadline := c.now().Add(patience(a))
	for {
		state, err := c.describeTraining(ctx, j.name)
		if err != nil {
			return nil, err
		}
		if state == nil {
			return nil, fault.Newf(fault.Conflict, "wait for training job %s: it was deleted", j.name).Hintf("run it again")
		}
		if ended(state.TrainingJobStatus) {
			if ran {
				c.drain(ctx, log)
			}
			return state, nil
		}
		ran = true
		if state.SecondaryStatus != said {
			said = state.SecondaryStatus
			c.log("training job " + j.name + ": " + spaced(string(said)))
		}
		log.read(ctx)
		if c.now().After(deadline) {
			return nil, fault.Newf(fault.Timeout, "wait for training job %s: it is still %s", j.name, spaced(string(said))).
				Hintf("run it again to wait on, or stop the job in SageMaker")
		}
		if err := c.wait(ctx, c.pause()); err != nil {
			return nil, call{doing: "wait for training job " + j.name}.fault(err)
		}
	}
}

// patience is how long a job is waited for: its own limits, and a queue.
func patience(a plan.Train) time.Duration {
	runtime := time.Duration(a.MaxRuntime)
	if runtime <= 0 {
		runtime = 24 * time.Hour // SageMaker's default
	}
	if a.Spot {
		runtime *= spotPatience
	}
	return runtime + queueing
}

func ended(status types.TrainingJobStatus) bool {
	return status == types.TrainingJobStatusCompleted || status == types.TrainingJobStatusFailed ||
		status == types.TrainingJobStatusStopped
}

// drain reads the log of a job that has ended, and once more for lines that arrive late.
func (c *Cloud) drain(ctx context.Context, log *tail) {
	log.read(ctx)
	if log.off || c.wait(ctx, min(c.pause(), lastLines)) != nil {
		return
	}
	log.read(ctx)
}

// spaced writes DownloadingTrainingImage as "downloading training image".
func spaced(status string) string {
	var words strings.Builder
	for i, r := range status {
		if i > 0 && unicode.IsUpper(r) && !unicode.IsUpper(rune(status[i-1])) {
			words.WriteByte(' ')
		}
		words.WriteRune(unicode.ToLower(r))
	}
	return words.String()
}

// trained is what became of the job.
func trained(state *sagemaker.DescribeTrainingJobOutput, j job, a plan.Train) (plan.Receipt, error) {
	switch state.TrainingJobStatus {
	case types.TrainingJobStatusCompleted:
		return completed(state, j, a), nil
	case types.TrainingJobStatusFailed:
		return plan.Receipt{}, trainingFailed(j.name, aws.ToString(state.FailureReason))
	default:
		return plan.Receipt{}, trainingStopped(j.name, state.SecondaryStatus)
	}
}

// completed reads the job's own answers rather than the request: a job that
// was found may have been started with another output path.
func completed(state *sagemaker.DescribeTrainingJobOutput, j job, a plan.Train) plan.Receipt {
	output := a.Output
	if state.OutputDataConfig != nil && aws.ToString(state.OutputDataConfig.S3OutputPath) != "" {
		output = aws.ToString(state.OutputDataConfig.S3OutputPath)
	}
	folder := strings.TrimRight(output, "/") + "/" + j.name + "/output/"
	section := record.Training{
		Job:             j.name,
		ARN:             aws.ToString(state.TrainingJobArn),
		ModelData:       folder + "model.tar.gz",
		OutputData:      folder + "output.tar.gz",
		Hyperparameters: state.HyperParameters,
		Instance:        a.Instance,
		Started:         stamp(state.TrainingStartTime),
		Ended:           stamp(state.TrainingEndTime),
		BillableSeconds: int64(aws.ToInt32(state.BillableTimeInSeconds)),
	}
	if state.ModelArtifacts != nil && aws.ToString(state.ModelArtifacts.S3ModelArtifacts) != "" {
		section.ModelData = aws.ToString(state.ModelArtifacts.S3ModelArtifacts)
	}
	if state.ResourceConfig != nil && state.ResourceConfig.InstanceType != "" {
		section.Instance = string(state.ResourceConfig.InstanceType)
	}
	said := "training job " + j.name + " is complete"
	if took := state.TrainingTimeInSeconds; took != nil {
		said += fmt.Sprintf(" after %v", time.Duration(*took)*time.Second)
	}
	if !j.created {
		said = "training job " + j.name + " was found: the same identity is trained once"
	}
	return plan.Receipt{
		Yields: map[string]string{
			"job": section.Job, "model_data": section.ModelData, "output_data": section.OutputData,
		},
		Section: section,
		Said:    said,
	}
}

func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// trainingFailed says whose fault it was, by the word SageMaker begins its reason with.
func trainingFailed(name, reason string) error {
	kind, rest, found := strings.Cut(reason, ":")
	rest = strings.TrimSpace(rest)
	newf := func(k fault.Kind) *fault.Error {
		return fault.Newf(k, "training job %s failed: %s", name, firstLine(reason))
	}
	switch {
	case found && kind == "AlgorithmError":
		said, code := exitCode(rest)
		return fault.Newf(fault.Model, "training job %s failed in the model's own code%s", name, code).
			With(lines(said)...).Hintf("mend the training code and run it again; its log is in %s, stream %s", trainingLogs, name)
	case kind == "CapacityError":
		return newf(fault.Remote).Hintf("run it again later, or choose another instance type")
	case kind == "ClientError":
		return clientError(newf, rest)
	}
	return newf(fault.Remote).Hintf("run it again: the next attempt has a name of its own")
}

// exitCode parts what a program wrote of its failure from what SageMaker adds
// to it: ", exit code: 1".
func exitCode(reason string) (said, code string) {
	const added = ", exit code: "
	last := strings.LastIndex(reason, added)
	if last < 0 {
		return reason, ""
	}
	return reason[:last], ", exit code " + reason[last+len(added):]
}

// clientError is what SageMaker blames on the request: its data, its rights, its size.
func clientError(newf func(fault.Kind) *fault.Error, reason string) error {
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(strings.ToLower(reason), word) {
				return true
			}
		}
		return false
	}
	switch {
	case has("access denied", "accessdenied", "status code: 403", "forbidden", "not authorized"):
		return newf(fault.Denied).Hintf("give the execution role access to the bucket, the image and the key")
	case has("no python"):
		return newf(fault.Missing).Hintf("install that Python, or set image.python in towline.yaml to one that is there")
	case has("no s3 objects", "not found", "nosuchkey", "nosuchbucket", "status code: 404", "does not exist", "cannot pull"):
		return newf(fault.Missing).Hintf("check that the image was pushed, and the channels' addresses in towline.yaml")
	case has("memory", "disk", "no space"):
		return newf(fault.Repository).Hintf("choose a larger instance or volume_gb in towline.yaml; in the local cloud, free some disk space")
	}
	return newf(fault.Remote).Hintf("check channels, image and instance in towline.yaml; then run it again")
}

// trainingStopped tells a limit that was reached from a stop that someone asked for.
func trainingStopped(name string, why types.SecondaryStatus) error {
	switch why {
	case types.SecondaryStatusMaxRuntimeExceeded:
		return fault.Newf(fault.Timeout, "training job %s was stopped: it ran longer than allowed", name).
			Hintf("raise max_runtime in towline.yaml, or choose a faster instance")
	case types.SecondaryStatusMaxWaitTimeExceeded:
		return fault.Newf(fault.Timeout, "training job %s was stopped: no spot instance could finish it in time", name).
			Hintf("set spot: false in towline.yaml, or raise max_runtime")
	default:
		return fault.Newf(fault.Remote, "training job %s was stopped from outside", name).
			Hintf("run it again: the next attempt has a name of its own")
	}
}

const reasonLines = 20

// lines are the last lines of a text, without empty ones.
func lines(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n\t "); line != "" {
			list = append(list, line)
		}
	}
	return list[max(0, len(list)-reasonLines):]
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
