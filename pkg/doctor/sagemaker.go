package doctor

import (
	"strings"
)

// SageMaker is what was found of training jobs, models and endpoints.
type SageMaker struct {
	Skip string

	Partition string
	Region    string
	Account   string
	Project   string
	Described []Described
	Logs      Answer
}

// Described is a resource that was asked about. That there is none of the name
// is a good answer.
type Described struct {
	Kind   string // as in an ARN: training-job, model, endpoint-config, endpoint
	Name   string
	Action string // sagemaker:DescribeTrainingJob
	There  bool
	Answer
}

// Creates are the actions by which resources are made. Whether they are
// allowed cannot be asked without doing so.
func Creates() []string {
	return []string{
		"sagemaker:CreateTrainingJob", "sagemaker:StopTrainingJob", "sagemaker:CreateModel", "sagemaker:CreateEndpointConfig",
		"sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:InvokeEndpoint", "sagemaker:AddTags", "sagemaker:ListTags",
	}
}

func (s SageMaker) checks() []Check {
	var all []Check
	for _, d := range s.Described {
		found := "may be described"
		if d.There {
			found += "; " + d.Name + " is there"
		}
		c := d.check(strings.ReplaceAll(d.Kind, "-", " "), found)
		all = append(all, c.pasting(d.Answer, allow([]string{d.Action}, []string{s.arn(d.Kind)})))
	}
	logs := s.Logs.check("logs", "may be read").as(Warning) // a training goes on without
	if s.Logs.denied() {
		group := "arn:" + s.partition() + ":logs:" + s.Region + ":" + s.Account + ":log-group:/aws/sagemaker/TrainingJobs:*"
		logs.Setting = "allow logs:DescribeLogStreams and logs:GetLogEvents to the job's role: without them a training tells nothing"
		logs.Paste = allow([]string{"logs:DescribeLogStreams", "logs:GetLogEvents"}, []string{group})
	}
	return append(all, logs, s.create())
}

// create tells what cannot be found out.
func (s SageMaker) create() Check {
	var resources []string
	for _, kind := range []string{"training-job", "model", "endpoint-config", "endpoint"} {
		resources = append(resources, s.arn(kind))
	}
	return Check{
		Name: "create", State: NotChecked, Found: "whether these are allowed cannot be asked without creating something",
		Setting: "the job's role needs this", Paste: allow(Creates(), resources),
	}
}

func (s SageMaker) partition() string {
	if s.Partition == "" {
		return "aws"
	}
	return s.Partition
}

func (s SageMaker) arn(kind string) string {
	return "arn:" + s.partition() + ":sagemaker:" + s.Region + ":" + s.Account + ":" + kind + "/" + s.Project + "-*"
}
