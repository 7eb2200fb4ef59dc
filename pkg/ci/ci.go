// Package ci is the GitLab job that the program runs in.
//
// In comes a getenv; out go the job's facts, each of a known shape or empty,
// and the marks that fold its log. It never calls GitLab and holds no tokens.
package ci

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// Job is a GitLab job. A fact that GitLab did not give, or that has not the
// shape it should have, is empty. Numbers stay text, as they only name things.
type Job struct {
	ServerURL     string // https://gitlab.example.com
	ServerVersion string // 17.11.2-ee
	APIURL        string // https://gitlab.example.com/api/v4

	ProjectID   string // number, unique on the server; "" where a pipeline's variable hides it
	ProjectPath string // group/subgroup/project
	ProjectURL  string

	PipelineID     string // number, unique on the server
	PipelineIID    string // number, unique in the project
	PipelineURL    string
	PipelineSource string // push, merge_request_event, schedule, pipeline…

	ID   string // number, unique on the server
	Name string
	URL  string

	Commit        string // sha, in full
	Ref           string // branch or tag
	Tag           string // in a pipeline of a tag
	DefaultBranch string
	MergeRequest  string // iid, in a pipeline of a merge request

	MergeRequestProject string // number of the project that it is a merge request of
	MergeRequestSource  string // number of the project that its branch is in, a fork perhaps
	Environment         string // name of the job's environment; "" for a job without one
	PipelineName        string // as workflow:name has it; "" for none
}

var (
	number  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[1-9][0-9]{0,18}$`) })
	sha     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`) })
	path    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$`) })
	word    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z_]+$`) })
	version = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-Za-z.+-]+$`) })
	line    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`) })
)

// longest is how many bytes a fact may have. A count in the pattern would say
// the same, and cost every start of the program milliseconds.
const longest = 1000

// FromEnv reads the predefined variables. It says false outside of a GitLab job.
// https://docs.gitlab.com/ci/variables/predefined_variables/
func FromEnv(getenv func(string) string) (Job, bool) {
	if getenv("GITLAB_CI") != "true" {
		return Job{}, false
	}
	read := func(name string, shape func() *regexp.Regexp) string {
		if value := getenv(name); len(value) <= longest && shape().MatchString(value) {
			return value
		}
		return ""
	}
	job := Job{
		ServerURL:     address(getenv("CI_SERVER_URL")),
		ServerVersion: read("CI_SERVER_VERSION", version),
		APIURL:        address(getenv("CI_API_V4_URL")),

		ProjectID:   read("CI_PROJECT_ID", number),
		ProjectPath: read("CI_PROJECT_PATH", path),
		ProjectURL:  address(getenv("CI_PROJECT_URL")),

		PipelineID:     read("CI_PIPELINE_ID", number),
		PipelineIID:    read("CI_PIPELINE_IID", number),
		PipelineURL:    address(getenv("CI_PIPELINE_URL")),
		PipelineSource: read("CI_PIPELINE_SOURCE", word),

		ID:   read("CI_JOB_ID", number),
		Name: read("CI_JOB_NAME", line),
		URL:  address(getenv("CI_JOB_URL")),

		Commit:        read("CI_COMMIT_SHA", sha),
		Ref:           read("CI_COMMIT_REF_NAME", line),
		Tag:           read("CI_COMMIT_TAG", line),
		DefaultBranch: read("CI_DEFAULT_BRANCH", line),
		MergeRequest:  read("CI_MERGE_REQUEST_IID", number),

		MergeRequestProject: read("CI_MERGE_REQUEST_PROJECT_ID", number),
		MergeRequestSource:  read("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", number),
		Environment:         read("CI_ENVIRONMENT_NAME", line),
		PipelineName:        read("CI_PIPELINE_NAME", line),
	}
	if Classic(getenv) {
		job.ProjectID = "" // it names the upstream project
	}
	return job, true
}

// Project names the project the job runs in, in calls of the API: its number,
// or its path where another project's number hides it.
func (j Job) Project() string {
	if j.ProjectID != "" {
		return j.ProjectID
	}
	return j.ProjectPath
}

// address is a web address without credentials and query, or "".
func address(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	u.User, u.RawQuery, u.Fragment, u.ForceQuery = nil, "", "", false
	return strings.TrimSuffix(u.String(), "/")
}
