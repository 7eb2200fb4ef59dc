package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// refused turns an error about artifacts, jobs or packages into one that names
// the setting to change. GitLab hides what a token may not see, so the hint
// depends on the kind of token too.
func (c *Client) refused(ctx context.Context, operation string, err error) error {
	if known := (*fault.Error)(nil); err == nil || errors.As(err, &known) {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", operation, context.Cause(ctx))
	}
	status := statusOf(err)
	project := status == http.StatusNotFound && strings.Contains(err.Error(), "Project")
	kind, hint := fault.Remote, "check that GitLab and its object storage are up and can be reached, and run the job again"
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, project:
		kind, hint = fault.Denied, c.deniedHint(status)
	case status == http.StatusNotFound && strings.Contains(operation, "package"):
		kind, hint = fault.Missing, "let the upstream job run towline handover --through package"
	case status == http.StatusNotFound:
		kind, hint = fault.Missing, "the job left no archive, or it has expired: list its files under artifacts:paths "+
			"(reports alone are no archive) and let expire_in be longer"
	case status == http.StatusTooManyRequests:
		hint = "GitLab limits its clients: run the job again in a minute"
	}
	return fault.Newf(kind, "%s of project %s: %w", operation, c.o.Project, err).Hintf("%s", hint)
}

// deniedHint is the setting to change for a token that was turned away. Not
// found is the project here.
func (c *Client) deniedHint(status int) string {
	job := c.jobToken()
	switch {
	case status == http.StatusUnauthorized && job:
		return "a job token lives as long as its job: fetch in script, not in after_script; " +
			"GitLab before 18 lets it read no lists of jobs: pass the number of the job, as UPSTREAM_JOB_ID or --job"
	case status == http.StatusUnauthorized:
		return "the token is none of this GitLab's, or has expired: make a new one with the scope read_api"
	case status == http.StatusForbidden && job:
		return "let the upstream project take this project's job token (its Settings, CI/CD, Job token permissions), " +
			"and the user who started the pipeline be a member of it"
	case status == http.StatusForbidden:
		return "the token needs the scope read_api, and the role Reporter at least"
	case job:
		return "without GitLab Premium no job token gets artifacts: hand over by towline handover --through package, " +
			"or set TOWLINE_GITLAB_TOKEN to a project token with read_api; if the project has Premium, check its number and that the user may see it"
	}
	return "check the project's number or path, and that the token belongs to it"
}
