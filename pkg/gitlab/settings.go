package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// setting says, for one kind of call, what to change when GitLab turns it away.
// An empty text is answered by that of every call.
type setting struct {
	jobs      string // where a job's token is no use
	denied    string // 403
	missing   string // 404 of something in the project
	invalid   string // 400 and 422
	hides     bool   // 404 means that it is denied
	taken     string // 409
	large     string // 413
	unprotect string // where a protection is in the way
}

// The calls, and what each of them needs.
var (
	releasing = setting{
		denied: "let the user who started the pipeline be a Developer at least, " +
			"and create tags of this name (Settings, Repository, Protected tags)",
		hides: true,
		missing: "GitLab hides what a token may not see: let releases be on for the project " +
			"(Settings, General, Visibility) and the job token have access to it (Settings, CI/CD, Job token permissions)",
		taken:     "a release of this name is there without its tag: delete it (Deploy, Releases), and run the job again",
		unprotect: "let the user who started the pipeline create tags of this name (Settings, Repository, Protected tags)",
	}
	noting = setting{
		jobs:    "a job token cannot write notes: set TOWLINE_GITLAB_TOKEN to a project token with the scope api and the role Reporter",
		denied:  "give the token of TOWLINE_GITLAB_TOKEN the scope api and the role Reporter at least; of a locked merge request, unlock the discussion",
		missing: "check the number of the merge request, and that merge requests are on (Settings, General, Visibility)",
	}
	deploying = setting{
		denied: "let the user who started the pipeline be a Developer at least, and deploy to this environment " +
			"(Settings, CI/CD, Protected environments); with fine-grained job tokens allow deployments and environments",
		missing: "let environments be on for the project (Settings, General, Visibility)", hides: true,
		invalid: "environment names have letters, digits, spaces, -, _, /, $, {, } and ., and the commit and branch must be pushed",
	}
	naming = setting{
		denied:  "let the user who started the pipeline be a Developer at least; with fine-grained job tokens allow pipelines",
		missing: "GitLab before 16.6 cannot name a pipeline afterwards: set workflow:name instead, or TOWLINE_PIPELINE_NAME=off",
		invalid: "a pipeline's name has 255 characters at most",
	}
	registering = setting{
		jobs: "a job token cannot use the model registry: set TOWLINE_GITLAB_TOKEN to a project token with the scope api and the role Developer",
		denied: "give the token of TOWLINE_GITLAB_TOKEN the scope api and the role Developer at least, " +
			"and let the model registry be on (Settings, General, Visibility)",
		missing: "let the model registry and model experiments be on for the project (Settings, General, Visibility), " +
			"and GitLab be 17.6 or newer", hides: true,
		invalid: "the name of a model and of one of its experiments must differ, and versions are semantic ones",
	}
	storing = setting{
		denied:  "let the user who started the pipeline be a Developer at least, and no rule protect the package (Settings, Packages and registries)",
		missing: "let the package registry be on for the project (Settings, General, Visibility)", hides: true,
		large: "leave the archive out, or let an administrator raise the largest size of package files (Admin, CI/CD, Package registry)",
	}
	publishing = setting{
		denied: "let the user who started the pipeline be a Developer at least, and no rule protect the package " +
			"(Settings, Packages and registries, Protected packages)",
		missing: "let the package registry be on for the project (Settings, General, Visibility), or hand over through artifacts or S3", hides: true,
		invalid: "names, versions and files of generic packages have letters, digits, ., _, - and +",
		large:   "hand over through S3, or let an administrator raise the largest size of generic packages (Admin, CI/CD, Package registry)",
	}
	triggering = setting{
		denied: "let the user who started the pipeline, or who owns the trigger token, run pipelines on this branch " +
			"(Settings, Repository, Protected branches)",
		missing: "check the project, and the trigger token (Settings, CI/CD, Pipeline trigger tokens); " +
			"with the job token the user who started the pipeline must be a member of it", hides: true,
		invalid: "check that the branch has a pipeline for triggers (CI_PIPELINE_SOURCE is trigger or pipeline), and that variables may be set " +
			"(Settings, CI/CD, Variables, minimum role to use pipeline variables)",
	}
	watching = setting{
		jobs: "GitLab before 18 shows a job token no other pipeline: set TOWLINE_GITLAB_TOKEN to a token with read_api, " +
			"pass --strategy none, or use a trigger job with strategy: mirror",
		denied:  "let the other project take this project's job token (its Settings, CI/CD, Job token permissions), or set TOWLINE_GITLAB_TOKEN to a token with read_api",
		missing: "check the number of the pipeline or job", hides: true,
	}
	playing = setting{
		jobs: "a job token cannot play jobs: set TOWLINE_GITLAB_TOKEN to a project token with the scope api and the role Developer",
		denied: "give the token the scope api and a role that may run the job: of a protected branch or environment those who are allowed to " +
			"(Settings, Repository, Protected branches; Settings, CI/CD, Protected environments)",
		missing: "check the number of the pipeline",
		invalid: "only a job that waits for a button can be played: let the jobs before it end, or retry one that has run",
	}
)

// explain turns an error of a call into one with the setting to change.
func (c *Client) explain(ctx context.Context, s setting, operation string, err error) error {
	if known := (*fault.Error)(nil); err == nil || errors.As(err, &known) {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", operation, context.Cause(ctx))
	}
	kind, hint := c.advice(s, statusOf(err), err.Error())
	return fault.Newf(kind, "%s: %w", operation, err).Hintf("%s", hint)
}

// advice is whose move it is after an answer, and what to change.
func (c *Client) advice(s setting, status int, text string) (fault.Kind, string) {
	switch {
	case status == 0:
		return fault.Remote, "check that GitLab is up and can be reached, and run the job again"
	case status == http.StatusTooManyRequests:
		return fault.Remote, "GitLab limits its clients: run the job again in a minute"
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return c.turnedAway(s, status, text)
	case contains(text, []string{"too large"}), status == http.StatusRequestEntityTooLarge:
		return fault.Repository, or(s.large, "send less, or let an administrator raise what the proxy before GitLab takes (nginx, client_max_body_size)")
	case status == http.StatusConflict:
		return fault.Conflict, or(s.taken, "somebody else changes the same thing at this moment: run the job again")
	case status < http.StatusInternalServerError && s.unprotect != "" && contains(text, protectedWords):
		return fault.Denied, s.unprotect
	case (status == http.StatusBadRequest || status == http.StatusUnprocessableEntity) && s.invalid != "":
		return fault.Usage, s.invalid
	}
	return fault.Remote, "run the job again"
}

// turnedAway is the setting to change for a token that may not.
func (c *Client) turnedAway(s setting, status int, text string) (fault.Kind, string) {
	switch {
	case c.jobToken() && s.jobs != "":
		return fault.Denied, s.jobs
	case strings.Contains(text, "insufficient_scope"):
		return fault.Denied, "give the token the scope api: with read_api it only reads"
	case status == http.StatusUnauthorized && c.jobToken():
		return fault.Denied, "a job token lives as long as its job: run it again, and in script, not in after_script"
	case status == http.StatusUnauthorized:
		return fault.Denied, "the token is none of this GitLab's, or has expired: make a new one with the scope api"
	case status == http.StatusForbidden:
		return fault.Denied, or(s.denied, "give the user or the token a role that may do this")
	case strings.Contains(text, "Project") && !s.hides:
		return fault.Denied, "check the project's number or path, and that the token may see it"
	case s.hides:
		return fault.Denied, s.missing
	}
	return fault.Missing, or(s.missing, "check what was asked for")
}

// or is the first text that is not empty.
func or(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}
