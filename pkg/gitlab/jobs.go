package gitlab

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// Job is a job of a pipeline.
type Job struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Status   string `json:"status"` // success, failed, running…; GitLab adds more
	Ref      string `json:"ref"`
	URL      string `json:"web_url"`
	Pipeline struct {
		ID int64 `json:"id"`
	} `json:"pipeline"`
}

// mostPages is how many pages of jobs are read, each of a hundred.
const mostPages = 50

// PipelineJobs lists the jobs of a pipeline; of those that were retried the
// last one only.
func (c *Client) PipelineJobs(ctx context.Context, pipeline string) ([]Job, error) {
	var all []Job
	for page := "1"; page != "" && len(all) < mostPages*100; {
		var some []Job
		query := url.Values{"per_page": {"100"}, "page": {page}, "include_retried": {"false"}}
		header, err := c.callWith(ctx, http.MethodGet, "/pipelines/"+url.PathEscape(pipeline)+"/jobs?"+query.Encode(), nil, &some)
		if err != nil {
			return nil, c.refused(ctx, "list the jobs of pipeline "+pipeline, err)
		}
		all, page = append(all, some...), header.Get("X-Next-Page")
	}
	return all, nil
}

// JobNamed finds the job of that name in a pipeline: the newest that
// succeeded.
func (c *Client) JobNamed(ctx context.Context, pipeline, name string) (Job, error) {
	jobs, err := c.PipelineJobs(ctx, pipeline)
	if err != nil {
		return Job{}, err
	}
	slices.SortFunc(jobs, func(a, b Job) int { return int(b.ID - a.ID) })
	var names []string
	status := ""
	for _, job := range jobs {
		if job.Name == name && job.Status == "success" {
			return job, nil
		}
		if job.Name == name && status == "" {
			status = job.Status
		}
		names = append(names, job.Name)
	}
	if status != "" {
		return Job{}, fault.Newf(fault.Missing, "find job %q in pipeline %s: it is %s, wanted success", name, pipeline, status).
			Hintf("let the trigger job need it, so that it has ended before downstream begins")
	}
	return Job{}, fault.Newf(fault.Missing, "find job %q in pipeline %s: there is none of that name", name, pipeline).
		With("there are: " + strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), ", ")).
		Hintf("pass --job with the name of the job that runs towline handover")
}

// Number writes the number of a job.
func (j Job) Number() string { return strconv.FormatInt(j.ID, 10) }
