package sagemaker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// run is one training job while it runs.
type run struct {
	s      *Service
	in     trainingRequest
	cancel context.CancelCauseFunc
	dir    string // what the program sees as /opt/ml
}

var (
	errStopRequested = errors.New("a stop was requested")
	errMaxRuntime    = errors.New("the longest runtime was exceeded")
)

// outcome is how a job ended.
type outcome struct {
	status, secondary, message string
	reason                     string
}

func failure(format string, args ...any) outcome {
	return outcome{failed, failed, "Training job failed", fmt.Sprintf(format, args...)}
}

var (
	wasStopped   = outcome{stopped, stopped, "Training job stopped", ""}
	wasTooLong   = outcome{stopped, maxRuntimeExceeded, "Training job exceeded its longest runtime", ""}
	wasClosed    = failure("InternalServerError: %v", errClosed)
	wasCompleted = outcome{completed, completed, "Training job completed", ""}
)

// startRun runs a job in the background. The caller holds s.mu.
func (s *Service) startRun(in trainingRequest) {
	ctx, cancel := context.WithCancelCause(s.ctx)
	r := &run{s: s, in: in, cancel: cancel, dir: s.work("jobs", in.TrainingJobName, "ml")}
	s.runs[in.TrainingJobName] = r
	s.spawn(func() {
		r.finish(r.train(ctx))
		cancel(nil)
	})
}

// train takes the job through its states and says how it ended.
func (r *run) train(ctx context.Context) outcome {
	log, err := r.s.o.Logs.Stream(trainingGroup, fmt.Sprintf("%s/algo-1-%d", r.in.TrainingJobName, r.s.o.Now().Unix()))
	if err != nil {
		return r.broke(ctx, "open the log", err)
	}
	defer func() { _ = log.Close() }() // what could be written is written
	if err := r.checkOutput(); err != nil {
		return r.broke(ctx, "check the output path", err)
	}
	r.step(downloading, "Downloading input data")
	if err := r.prepare(ctx); err != nil {
		return r.broke(ctx, "download input data", err)
	}
	ended := r.execute(ctx, log)
	if ended == wasClosed {
		return ended
	}
	return r.deliver(ended)
}

// trainingGroup is the log group of training jobs.
const trainingGroup = "/aws/sagemaker/TrainingJobs"

// interrupted tells of a context that ended, by its cause.
func interrupted(ctx context.Context) (outcome, bool) {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return outcome{}, false
	case errors.Is(cause, errStopRequested):
		return wasStopped, true
	case errors.Is(cause, errMaxRuntime):
		return wasTooLong, true
	}
	return wasClosed, true
}

// clientError is a mistake of the caller's that shows only while the job runs.
type clientError struct{ text string }

func (e clientError) Error() string { return e.text }

// broke tells of a step that the service itself could not do.
func (r *run) broke(ctx context.Context, step string, err error) outcome {
	if ended, ok := interrupted(ctx); ok {
		return ended
	}
	var mistake clientError
	switch {
	case errors.As(err, &mistake):
		return failure("ClientError: %s", mistake.text)
	case errors.Is(err, syscall.ENOSPC):
		return failure("ClientError: No space left on device: %s", step)
	case yours(err):
		return failure("ClientError: %s: %v", step, err)
	}
	return failure("InternalServerError: %s: %v", step, err)
}

// yours says whether it is the caller who can mend what the runtime could not
// do: an image without its program, a Python that is not there.
func yours(err error) bool {
	kind := fault.KindOf(err)
	return kind == fault.Missing || kind == fault.Repository || kind == fault.Usage
}

// step tells of a new secondary status.
func (r *run) step(secondary, message string) {
	r.update(func(row *job) {
		if row.Status == inProgress {
			row.move(r.s.now(), secondary, message)
		}
	})
}

func (r *run) update(change func(*job)) {
	_, err := r.s.jobs.Update(r.in.TrainingJobName, func(row *job) error {
		change(row)
		return nil
	})
	if err != nil {
		r.s.o.Log.Error("the state of a training job could not be saved", "job", r.in.TrainingJobName, "error", err)
	}
}

// execute runs the program to its end.
func (r *run) execute(ctx context.Context, log io.Writer) outcome {
	image, err := r.s.o.Image(r.in.AlgorithmSpecification.TrainingImage)
	if isNoImage(err) {
		return failure("ClientError: Cannot pull image %s: %v", r.in.AlgorithmSpecification.TrainingImage, err)
	}
	if err != nil {
		return r.broke(ctx, "pull the training image", err)
	}
	r.step(training, "Training image download completed. Training in progress.")
	r.update(func(row *job) { row.Started = r.s.now() })
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(r.in.runtime())*time.Second, errMaxRuntime)
	defer cancel()
	task, release, err := r.s.start(ctx, runtime.Spec{
		Name: r.in.TrainingJobName, Image: image, OptML: r.dir, Env: r.environment(), Log: log,
		Entry: r.in.AlgorithmSpecification.ContainerEntrypoint, Args: r.in.arguments(),
	})
	if err != nil {
		return r.broke(ctx, "start the training image", err)
	}
	defer release()
	select {
	case <-task.Done():
	case <-ctx.Done():
		task.Stop(r.grace(ctx))
	}
	code, err := task.Wait()
	if ended, ok := interrupted(ctx); ok {
		return ended
	}
	switch {
	case err != nil:
		return r.broke(ctx, "run the training image", err)
	case code != 0:
		return failure("AlgorithmError: %s, exit code: %d", r.failureText(), code)
	}
	return wasCompleted
}

func (r *run) grace(ctx context.Context) time.Duration {
	if errors.Is(context.Cause(ctx), errClosed) {
		return min(r.s.o.StopGrace, closingGrace)
	}
	return r.s.o.StopGrace
}

// arguments follow the entrypoint, the image's own or the request's.
func (in trainingRequest) arguments() []string {
	a := in.AlgorithmSpecification
	if len(a.ContainerEntrypoint) == 0 && len(a.ContainerArguments) == 0 {
		return []string{"train"}
	}
	return a.ContainerArguments
}

func (r *run) environment() map[string]string {
	env := map[string]string{
		"TRAINING_JOB_NAME": r.in.TrainingJobName,
		"TRAINING_JOB_ARN":  r.s.arn(kindJob, r.in.TrainingJobName),
	}
	for name, value := range r.in.Environment {
		env[name] = value
	}
	return env
}

// maxFailure is how much of the failure file AWS tells, in characters.
const maxFailure = 1024

// failureText reads what the program wrote of its failure. The program may
// have put anything there, a link to elsewhere too.
func (r *run) failureText() string {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return ""
	}
	defer func() { _ = root.Close() }() // it was only read
	const name = "output/failure"
	if info, err := root.Stat(name); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(f, 4*maxFailure))
	if err != nil {
		return ""
	}
	text := []rune(strings.TrimSpace(strings.ToValidUTF8(string(raw), "\uFFFD")))
	return string(text[:min(len(text), maxFailure)])
}

// deliver uploads what the program made: the model unless it failed, its
// output data and its checkpoints always.
func (r *run) deliver(ended outcome) outcome {
	if ended.status != failed {
		r.step(uploading, "Uploading generated training model")
	}
	ctx := r.s.ctx
	bucket, prefix, _ := s3URI(r.in.OutputDataConfig.S3OutputPath) // checked by checkOutput
	prefix = strings.TrimPrefix(strings.TrimSuffix(prefix, "/")+"/"+r.in.TrainingJobName+"/output/", "/")
	err := r.s.pack(ctx, folder{r.dir, "output/data"}, bucket, prefix+"output.tar.gz", whenFilled)
	modelData := ""
	if err == nil && ended.status != failed {
		modelData = "s3://" + bucket + "/" + prefix + "model.tar.gz"
		err = r.s.pack(ctx, folder{r.dir, "model"}, bucket, prefix+"model.tar.gz", always)
	}
	if err == nil && r.in.CheckpointConfig != nil {
		err = r.saveCheckpoints(ctx)
	}
	switch {
	case err != nil && ended.status != failed:
		return r.broke(ctx, "upload what the training made", err)
	case err != nil:
		return ended // its own failure says more
	}
	r.update(func(row *job) { row.ModelData = modelData })
	return ended
}

// finish clears up first, so that a full disk has room for the end's record.
func (r *run) finish(ended outcome) {
	if err := os.RemoveAll(filepath.Dir(r.dir)); err != nil {
		r.s.o.Log.Warn("the files of a training job could not be removed", "job", r.in.TrainingJobName, "error", err)
	}
	r.update(func(row *job) { row.end(r.s, ended) })
	r.s.mu.Lock()
	delete(r.s.runs, r.in.TrainingJobName)
	r.s.mu.Unlock()
}

func (row *job) end(s *Service, ended outcome) {
	row.Status, row.Ended = ended.status, s.now()
	row.FailureReason = shorten(ended.reason)
	row.move(row.Ended, ended.secondary, ended.message)
}

// maxReason is AWS's limit of a FailureReason, in characters; what is before
// and after a failure file's text comes on top.
const maxReason = 1024

func shorten(reason string) string {
	text := []rune(reason)
	if strings.HasPrefix(reason, "AlgorithmError: ") || len(text) <= maxReason {
		return reason
	}
	return string(text[:maxReason])
}

// failLostJobs ends the jobs that ran when an earlier cloud ended.
func (s *Service) failLostJobs() {
	for _, row := range s.jobs.All() {
		if row.Status != inProgress && row.Status != stopping {
			continue
		}
		lost := failure("InternalServerError: the local cloud stopped while this job ran")
		if _, err := s.jobs.Update(row.Name, func(row *job) error { row.end(s, lost); return nil }); err != nil {
			s.o.Log.Error("the state of a training job could not be saved", "job", row.Name, "error", err)
		}
	}
}

// start starts a program. Release it when it has ended.
func (s *Service) start(ctx context.Context, spec runtime.Spec) (runtime.Task, func(), error) {
	if s.o.Runtime == nil {
		return nil, nil, errors.New("the local cloud was started without a runtime")
	}
	// A context that ends while the program runs must not kill it at once: it
	// is stopped with the grace it is due.
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	started := context.AfterFunc(ctx, end)
	task, err := s.o.Runtime.Run(alive, spec)
	started()
	if err != nil {
		end()
		return nil, nil, err
	}
	forget := s.left.track(task.PID())
	return task, func() { forget(); end() }, nil
}
