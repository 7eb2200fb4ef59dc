package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/secret"
)

// gitlabToken is the variable of a token for what a job's token cannot do.
const gitlabToken = "TOWLINE_GITLAB_TOKEN"

// jobGitLab is the job's own project, with the job's token.
func (a *app) jobGitLab() (*gitlab.Client, error) {
	job, _ := a.job()
	token := secret.New(a.getenv("CI_JOB_TOKEN"))
	if job.APIURL == "" || job.Project() == "" || token.Empty() {
		return nil, fault.Newf(fault.Missing, "ask GitLab: CI_API_V4_URL, CI_PROJECT_ID or CI_JOB_TOKEN is not set").
			Hintf("run it in a GitLab job")
	}
	return gitlab.New(gitlab.Options{API: job.APIURL, Project: job.Project(), Token: token, Log: a.log()}), nil
}

// tokenGitLab is a project with the token that a user has set for it. Without
// one it is nil: then there is only the job's, which cannot do everything.
func (a *app) tokenGitLab(project string) (*gitlab.Client, error) {
	if a.getenv(gitlabToken) == "" {
		return nil, nil
	}
	return a.gitlabOf(project, "")
}

// namingTime is how long the name of a pipeline may take: it is no more than
// a kindness.
const namingTime = 10 * time.Second

// namePipeline calls the pipeline by its versions, unless the user has named
// it or does not want that. That it did not work is a warning.
func (a *app) namePipeline(ctx context.Context, records []record.Record) {
	job, inJob := a.job()
	if !inJob || job.PipelineName != "" || job.PipelineID == "" || job.Tag != "" || a.getenv("TOWLINE_PIPELINE_NAME") == "off" {
		return
	}
	client, err := a.jobGitLab()
	if err != nil {
		return // a runner without GitLab behind it
	}
	ctx, cancel := context.WithTimeout(ctx, namingTime)
	defer cancel()
	action := plan.NamePipeline{Project: job.Project(), Pipeline: job.PipelineID, Name: pipelineName(records)}
	err = plan.Run(ctx, plan.Plan{action}, doer(func(ctx context.Context, _ plan.Action) (plan.Receipt, error) {
		return plan.Receipt{}, client.NamePipeline(ctx, action.Pipeline, action.Name)
	}), a.teller())
	if err != nil {
		fmt.Fprintf(a.stderr, "towline: warning: %v\n", err)
		if hint := fault.HintOf(err); hint != "" {
			fmt.Fprintf(a.stderr, "towline: hint: %s\n", hint)
		}
	}
}

// pipelineName names the releases that a pipeline makes.
func pipelineName(records []record.Record) string {
	var names []string
	for _, rec := range records {
		name := rec.Model + " " + rec.Name()
		if !rec.Released {
			name = rec.Model + " " + rec.Version.Version + " (nothing to release)"
		}
		names = append(names, name)
	}
	all := strings.Join(names, ", ")
	if len(all) > gitlab.MostName {
		all = all[:gitlab.MostName-len("…")] + "…"
	}
	return all
}

// doer is a function that carries out actions.
type doer func(context.Context, plan.Action) (plan.Receipt, error)

// Do carries out one.
func (d doer) Do(ctx context.Context, action plan.Action) (plan.Receipt, error) {
	return d(ctx, action)
}
