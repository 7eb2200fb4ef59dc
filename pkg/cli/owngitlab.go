package cli

import (
	"context"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/plan"
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

// gitlabOf is a client for a project, with the token that a user has set, or
// the job's.
func (a *app) gitlabOf(project, api string) (*gitlab.Client, error) {
	o, err := a.gitlabOptions(project, api)
	if err != nil {
		return nil, err
	}
	return gitlab.New(o), nil
}

// gitlabAddress is where GitLab is.
func (a *app) gitlabAddress(project, api string) (gitlab.Options, error) {
	o := gitlab.Options{API: or(api, a.getenv("TOWLINE_GITLAB_API"), a.getenv("CI_API_V4_URL")), Project: project, Log: a.log()}
	if !strings.HasPrefix(o.API, "https://") && !strings.HasPrefix(o.API, "http://") {
		return o, fault.Newf(fault.Usage, "find GitLab: no address of its API").
			Hintf("outside of a job pass --api https://gitlab.example.com/api/v4")
	}
	return o, nil
}

// gitlabOptions are gitlabAddress with the token.
func (a *app) gitlabOptions(project, api string) (gitlab.Options, error) {
	o, err := a.gitlabAddress(project, api)
	if err != nil {
		return o, err
	}
	o.Token = secret.New(a.getenv("CI_JOB_TOKEN"))
	if token := a.getenv(gitlabToken); token != "" {
		kind := a.getenv("TOWLINE_GITLAB_TOKEN_TYPE")
		header, ok := map[string]string{"": gitlab.PrivateToken, "private": gitlab.PrivateToken, "oauth": gitlab.OAuth, "job": gitlab.JobToken}[kind]
		if !ok {
			return o, fault.Newf(fault.Usage, "TOWLINE_GITLAB_TOKEN_TYPE is %q, wanted private, oauth or job", kind)
		}
		o.Header, o.Token = header, secret.New(token)
	}
	if o.Token.Empty() {
		return o, fault.Newf(fault.Denied, "ask GitLab: no token").
			Hintf("set TOWLINE_GITLAB_TOKEN to a token with the scope read_api; in a job CI_JOB_TOKEN does")
	}
	return o, nil
}

// doer is a function that carries out actions.
type doer func(context.Context, plan.Action) (plan.Receipt, error)

// Do carries out one.
func (d doer) Do(ctx context.Context, action plan.Action) (plan.Receipt, error) {
	return d(ctx, action)
}
