package sagemaker

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
	"gitlab.com/towline/towline/pkg/localcloud/store"
)

// Statuses of jobs.
const (
	inProgress = "InProgress"
	completed  = "Completed"
	failed     = "Failed"
	stopping   = "Stopping"
	stopped    = "Stopped"
)

// Secondary statuses of training jobs, besides those that are also statuses.
const (
	starting           = "Starting"
	downloading        = "Downloading"
	training           = "Training"
	uploading          = "Uploading"
	maxRuntimeExceeded = "MaxRuntimeExceeded"
)

// trainingRequest is what the service reads of CreateTrainingJob.
type trainingRequest struct {
	TrainingJobName           string
	HyperParameters           map[string]string
	AlgorithmSpecification    *algorithm
	RoleArn                   string
	InputDataConfig           []channel
	OutputDataConfig          *trainingOutput
	ResourceConfig            *resources
	StoppingCondition         *stoppingCondition
	EnableManagedSpotTraining bool
	CheckpointConfig          *checkpoints
	Environment               map[string]string
	Tags                      []tag
}

type algorithm struct {
	TrainingImage       string
	AlgorithmName       string
	TrainingInputMode   string
	ContainerEntrypoint []string
	ContainerArguments  []string
}

type channel struct {
	ChannelName string
	DataSource  *struct {
		S3DataSource *s3Source
	}
	ContentType       string
	CompressionType   string
	RecordWrapperType string
	InputMode         string
}

type s3Source struct {
	S3DataType             string
	S3Uri                  string
	S3DataDistributionType string
}

type trainingOutput struct {
	S3OutputPath    string
	CompressionType string
}

type resources struct {
	InstanceType   string
	InstanceCount  *int
	VolumeSizeInGB *int
}

type stoppingCondition struct {
	MaxRuntimeInSeconds  *int
	MaxWaitTimeInSeconds *int
}

type checkpoints struct {
	S3Uri     string
	LocalPath string
}

// job is a training job as it is kept.
type job struct {
	Name          string
	Request       json.RawMessage
	Tags          []tag
	Status        string
	Secondary     string
	FailureReason string
	Created       protocol.Time
	Modified      protocol.Time
	Started       protocol.Time // when the program began
	Ended         protocol.Time
	Transitions   []transition
	ModelData     string // s3://…/model.tar.gz
}

type transition struct {
	Status        string
	StartTime     protocol.Time
	EndTime       *protocol.Time `json:",omitempty"`
	StatusMessage string         `json:",omitempty"`
}

// errNotFound is what AWS says of training jobs and of ARNs that name nothing.
var errNotFound = invalid("Requested resource not found.")

func (s *Service) createTrainingJob(body []byte) (any, error) {
	var in trainingRequest
	if err := protocol.Decode(body, &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	now, arn := s.now(), s.arn(kindJob, in.TrainingJobName)
	row := job{
		Name: in.TrainingJobName, Request: body, Tags: in.Tags,
		Status: inProgress, Secondary: starting, Created: now, Modified: now,
		Transitions: []transition{{Status: starting, StartTime: now, StatusMessage: "Starting the training job"}},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.jobs.Insert(row.Name, row); errors.Is(err, store.ErrExists) {
		return nil, protocol.Errorf("ResourceInUse", "Training job names must be unique within an AWS account and region, and a training job with this name already exists (%s)", arn)
	} else if err != nil {
		return nil, err
	}
	s.startRun(in)
	return map[string]string{"TrainingJobArn": arn}, nil
}

type trainingJobInput struct{ TrainingJobName string }

func (s *Service) describeTrainingJob(in trainingJobInput) (any, error) {
	row, err := s.job(in.TrainingJobName)
	if err != nil {
		return nil, err
	}
	request, err := echoOf(row.Request)
	if err != nil {
		return nil, err
	}
	facts := map[string]any{
		"TrainingJobArn":             s.arn(kindJob, row.Name),
		"TrainingJobStatus":          row.Status,
		"SecondaryStatus":            row.Secondary,
		"FailureReason":              row.FailureReason,
		"CreationTime":               row.Created,
		"LastModifiedTime":           row.Modified,
		"TrainingStartTime":          row.Started,
		"TrainingEndTime":            row.Ended,
		"SecondaryStatusTransitions": row.Transitions,
	}
	if row.ModelData != "" {
		facts["ModelArtifacts"] = map[string]string{"S3ModelArtifacts": row.ModelData}
	}
	if !row.Ended.IsZero() && !row.Started.IsZero() {
		seconds := int(row.Ended.Sub(row.Started.Time).Seconds()) + 1
		facts["TrainingTimeInSeconds"], facts["BillableTimeInSeconds"] = seconds, seconds
	}
	return request.with(facts), nil
}

func (s *Service) job(name string) (job, error) {
	var c checks
	c.text("trainingJobName", name, maxName, namePattern)
	if err := c.err(); err != nil {
		return job{}, err
	}
	row, found := s.jobs.Get(name)
	if !found {
		return row, errNotFound
	}
	return row, nil
}

func (s *Service) stopTrainingJob(in trainingJobInput) (any, error) {
	if _, err := s.job(in.TrainingJobName); err != nil {
		return nil, err
	}
	row, err := s.jobs.Update(in.TrainingJobName, func(row *job) error {
		switch row.Status {
		case inProgress:
			row.move(s.now(), stopping, "Stopping the training job")
			row.Status = stopping
		case stopping:
		default:
			return invalid("The request was rejected because the training job is in status %s.", row.Status)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.runs[row.Name]; r != nil {
		r.cancel(errStopRequested)
	}
	return nil, nil
}

// move goes to another secondary status.
func (row *job) move(now protocol.Time, secondary, message string) {
	row.Transitions = slices.Clone(row.Transitions)
	if last := len(row.Transitions) - 1; last >= 0 && row.Transitions[last].EndTime == nil {
		row.Transitions[last].EndTime = &now
	}
	t := transition{Status: secondary, StartTime: now, StatusMessage: message}
	if slices.Contains([]string{completed, failed, stopped, maxRuntimeExceeded}, secondary) {
		t.EndTime = &now
	}
	row.Transitions = append(row.Transitions, t)
	row.Secondary, row.Modified = secondary, now
}

func (s *Service) listTrainingJobs(in listQuery) (any, error) {
	var c checks
	c.oneOf("statusEquals", in.StatusEquals, inProgress, completed, failed, stopping, stopped, "Deleting")
	if err := c.err(); err != nil {
		return nil, err
	}
	var all []listed
	for _, row := range s.jobs.All() {
		facts := map[string]any{
			"TrainingJobName": row.Name, "TrainingJobArn": s.arn(kindJob, row.Name), "TrainingJobStatus": row.Status,
			"SecondaryStatus": row.Secondary, "CreationTime": row.Created, "LastModifiedTime": row.Modified, "TrainingEndTime": row.Ended,
		}
		all = append(all, listed{row.Name, row.Status, row.Created, row.Modified, echo{}.with(facts)})
	}
	summaries, next, err := in.page(all, ascending, byName, byCreation, byStatus)
	if err != nil {
		return nil, err
	}
	return answerList("TrainingJobSummaries", summaries, next), nil
}

func (in trainingRequest) check() error {
	var c checks
	c.text("trainingJobName", in.TrainingJobName, maxName, namePattern)
	c.text("roleArn", in.RoleArn, maxRole, rolePattern)
	c.count("hyperParameters", len(in.HyperParameters), 0, maxHyperparameters)
	for name, value := range in.HyperParameters {
		c.text("hyperParameters.key", name, 256, nil)
		c.optional("hyperParameters."+name+".value", value, 2500, nil)
	}
	c.environment("environment", in.Environment, 512)
	c.tags(in.Tags)
	in.checkAlgorithm(&c)
	in.checkChannels(&c)
	if c.present("outputDataConfig", in.OutputDataConfig != nil) {
		c.text("outputDataConfig.s3OutputPath", in.OutputDataConfig.S3OutputPath, maxURI, s3Pattern)
		c.oneOf("outputDataConfig.compressionType", in.OutputDataConfig.CompressionType, "GZIP")
	}
	if c.present("resourceConfig", in.ResourceConfig != nil) {
		c.text("resourceConfig.instanceType", in.ResourceConfig.InstanceType, maxName, instancePattern)
		c.present("resourceConfig.instanceCount", in.ResourceConfig.InstanceCount != nil)
		c.between("resourceConfig.instanceCount", in.ResourceConfig.InstanceCount, 1, 1<<31-1)
		c.present("resourceConfig.volumeSizeInGB", in.ResourceConfig.VolumeSizeInGB != nil)
		c.between("resourceConfig.volumeSizeInGB", in.ResourceConfig.VolumeSizeInGB, 1, 1<<31-1)
	}
	if c.present("stoppingCondition", in.StoppingCondition != nil) {
		c.between("stoppingCondition.maxRuntimeInSeconds", in.StoppingCondition.MaxRuntimeInSeconds, 1, maxRuntime)
		c.between("stoppingCondition.maxWaitTimeInSeconds", in.StoppingCondition.MaxWaitTimeInSeconds, 1, 1<<31-1)
	}
	if in.CheckpointConfig != nil {
		c.text("checkpointConfig.s3Uri", in.CheckpointConfig.S3Uri, maxURI, s3Pattern)
	}
	if err := c.err(); err != nil {
		return err
	}
	return in.checkSpot()
}

const (
	defaultRuntime = 86400   // seconds
	maxRuntime     = 2419200 // 28 days
)

func (in trainingRequest) runtime() int {
	if in.StoppingCondition.MaxRuntimeInSeconds == nil {
		return defaultRuntime
	}
	return *in.StoppingCondition.MaxRuntimeInSeconds
}

func (in trainingRequest) checkSpot() error {
	wait := in.StoppingCondition.MaxWaitTimeInSeconds
	switch {
	case in.EnableManagedSpotTraining && wait == nil:
		return invalid("MaxWaitTimeInSeconds is required when EnableManagedSpotTraining is true")
	case in.EnableManagedSpotTraining && *wait < in.runtime():
		return invalid("Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds")
	case !in.EnableManagedSpotTraining && wait != nil:
		return invalid("MaxWaitTimeInSeconds must not be present when EnableManagedSpotTraining is false")
	}
	return nil
}

func (in trainingRequest) checkAlgorithm(c *checks) {
	a := in.AlgorithmSpecification
	if !c.present("algorithmSpecification", a != nil) {
		return
	}
	c.text("algorithmSpecification.trainingImage", a.TrainingImage, maxImage, imagePattern)
	if c.present("algorithmSpecification.trainingInputMode", a.TrainingInputMode != "") {
		c.oneOf("algorithmSpecification.trainingInputMode", a.TrainingInputMode, "File", "FastFile")
	}
	c.words("algorithmSpecification.containerEntrypoint", a.ContainerEntrypoint)
	c.words("algorithmSpecification.containerArguments", a.ContainerArguments)
	if a.AlgorithmName != "" {
		c.fail(a.AlgorithmName, "algorithmSpecification.algorithmName", "the local cloud trains with a TrainingImage only")
	}
}

func (in trainingRequest) checkChannels(c *checks) {
	c.count("inputDataConfig", len(in.InputDataConfig), 0, 20)
	seen := map[string]bool{}
	for i, ch := range in.InputDataConfig {
		path := fmt.Sprintf("inputDataConfig.%d.member", i+1)
		c.text(path+".channelName", ch.ChannelName, 64, channelPattern)
		if strings.Trim(ch.ChannelName, ".") == "" && ch.ChannelName != "" {
			c.fail(ch.ChannelName, path+".channelName", "Member must name a folder")
		}
		if seen[ch.ChannelName] {
			c.fail(ch.ChannelName, path+".channelName", "Member must be unique")
		}
		seen[ch.ChannelName] = true
		c.oneOf(path+".inputMode", ch.InputMode, "File", "FastFile")
		c.oneOf(path+".compressionType", ch.CompressionType, "None")
		c.oneOf(path+".recordWrapperType", ch.RecordWrapperType, "None")
		if !c.present(path+".dataSource", ch.DataSource != nil) || !c.present(path+".dataSource.s3DataSource", ch.DataSource.S3DataSource != nil) {
			continue
		}
		source := ch.DataSource.S3DataSource
		c.text(path+".dataSource.s3DataSource.s3Uri", source.S3Uri, maxURI, s3Pattern)
		if c.present(path+".dataSource.s3DataSource.s3DataType", source.S3DataType != "") {
			c.oneOf(path+".dataSource.s3DataSource.s3DataType", source.S3DataType, "S3Prefix")
		}
		c.oneOf(path+".dataSource.s3DataSource.s3DataDistributionType", source.S3DataDistributionType, "FullyReplicated", "ShardedByS3Key")
	}
}
