package cloud

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

const (
	trainings = 20        // attempts under one name
	nameLimit = 63        // of a training job
	queueing  = time.Hour // how long a job may wait for instances on top of its own limits
)

// job is a training that was found or started.
type job struct {
	name    string
	created bool // by this very call, so that an interruption stops it
}

// Train runs the training, or adopts the job of that name which already runs
// or ran for the same identity. After a failed or stopped one the next attempt
// is -r2, -r3… An interruption stops a job that this call started.
func (c *Cloud) Train(ctx context.Context, a plan.Train) (plan.Receipt, error) {
	for attempt := 1; attempt <= trainings; attempt++ {
		name := attemptName(a.Job, attempt)
		state, err := c.describeTraining(ctx, name)
		if err != nil {
			return plan.Receipt{}, err
		}
		if state == nil {
			err := c.startTraining(ctx, name, a)
			if err == nil {
				return c.finish(ctx, job{name, true}, a)
			}
			if !taken(err) {
				return plan.Receipt{}, err
			}
		}
		usable, err := c.adoptTraining(ctx, name, a)
		if err != nil {
			return plan.Receipt{}, err
		}
		if usable {
			return c.finish(ctx, job{name, false}, a)
		}
	}
	return plan.Receipt{}, fault.Newf(fault.Conflict, "start training job %s: %d attempts have failed or were stopped", a.Job, trainings).
		Hintf("change what made them fail: a change of code or data begins under a new name")
}

// attemptName adds -rN, and keeps to the limit by a hash in place of the end.
func attemptName(base string, attempt int) string {
	if attempt == 1 {
		return base
	}
	suffix := "-r" + strconv.Itoa(attempt)
	if len(base)+len(suffix) <= nameLimit {
		return base + suffix
	}
	hash := fmt.Sprintf("-%x", sha256.Sum256([]byte(base)))[:7]
	return strings.TrimRight(base[:nameLimit-len(suffix)-len(hash)], "-") + hash + suffix
}

// describeTraining is nil for a job that is not there.
func (c *Cloud) describeTraining(ctx context.Context, name string) (*sagemaker.DescribeTrainingJobOutput, error) {
	state, err := c.sagemaker().DescribeTrainingJob(ctx, &sagemaker.DescribeTrainingJobInput{TrainingJobName: &name})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, call{"look at training job " + name, "sagemaker:DescribeTrainingJob"}.fault(err)
	}
	return state, nil
}

// startTraining creates the job. If the answer never came because of an
// interruption, a job that was created all the same is stopped.
func (c *Cloud) startTraining(ctx context.Context, name string, a plan.Train) error {
	_, err := c.sagemaker().CreateTrainingJob(ctx, trainingInput(name, a))
	if err == nil {
		c.log("training job " + name + ": started")
		return nil
	}
	if ctx.Err() != nil {
		c.stopUnanswered(ctx, name, a.Identity)
	}
	return call{"start training job " + name, "sagemaker:CreateTrainingJob"}.fault(err)
}

func (c *Cloud) stopUnanswered(ctx context.Context, name, identity string) {
	after, cancel := afterwards(ctx)
	defer cancel()
	state, err := c.describeTraining(after, name)
	if err != nil || state == nil || c.owned(after, name, state.TrainingJobArn, identity) != nil {
		return
	}
	c.stopTraining(after, name)
}

// adoptTraining says whether the job of that name is our own, and runs or ran
// to its end. It waits for one that is being stopped.
func (c *Cloud) adoptTraining(ctx context.Context, name string, a plan.Train) (bool, error) {
	state, err := c.describeTraining(ctx, name)
	if err != nil {
		return false, err
	}
	if state == nil {
		return false, fault.Newf(fault.Conflict, "adopt training job %s: its name is in use, but it is not there", name).
			Hintf("run it again")
	}
	if err := c.owned(ctx, "training job "+name, state.TrainingJobArn, a.Identity); err != nil {
		return false, err
	}
	if state.TrainingJobStatus == types.TrainingJobStatusStopping {
		if state, err = c.watch(ctx, job{name: name}, a); err != nil {
			return false, err
		}
	}
	switch state.TrainingJobStatus {
	case types.TrainingJobStatusInProgress:
		c.log("training job " + name + ": found running, waiting for it")
		return true, nil
	case types.TrainingJobStatusCompleted:
		return true, nil
	default:
	}
	c.log(fmt.Sprintf("training job %s: found %s, trying again", name, strings.ToLower(string(state.TrainingJobStatus))))
	return false, nil
}
