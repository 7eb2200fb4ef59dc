package gitlab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
	"gitlab.com/towline/towline/pkg/wire"
)

// MostName is how many characters the name of a pipeline has at most.
const MostName = 255

// namings is how often a name is given that another job overwrote.
const namings = 4

// NamePipeline gives a pipeline the name that rename makes of the one it has,
// or of known where GitLab does not tell, as a job's token before 18. Jobs of
// one pipeline do so side by side, and GitLab has no lock for it: after a
// moment it is looked at again, until rename would change nothing.
func (c *Client) NamePipeline(ctx context.Context, pipeline, known string, rename func(now string) string) error {
	path := "/pipelines/" + url.PathEscape(pipeline)
	for range namings {
		var p Pipeline
		told := c.call(ctx, http.MethodGet, path, nil, &p)
		now := p.Name
		switch statusOf(told) {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
			now = known
		default:
			if told != nil {
				return c.explain(ctx, naming, "name pipeline "+pipeline, told)
			}
		}
		name := rename(now)
		if name == now {
			return nil
		}
		if err := c.call(ctx, http.MethodPut, path+"/metadata", map[string]string{"name": name}, nil); err != nil || told != nil {
			return c.explain(ctx, naming, "name pipeline "+pipeline, err)
		}
		select {
		case <-ctx.Done():
			return nil // it has its name, as far as we know
		case <-time.After(c.wait() + rand.N(c.wait())):
		}
	}
	return nil
}

// Pipeline is a pipeline as GitLab tells of it.
type Pipeline struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"` // created, running, success, failed, canceled, skipped, manual…
	Ref    string `json:"ref"`
	Commit string `json:"sha"`
	URL    string `json:"web_url"`
}

// Number writes the number of a pipeline.
func (p Pipeline) Number() string { return strconv.FormatInt(p.ID, 10) }

// Start is a pipeline that is to be started.
type Start struct {
	Token     secret.Value // a trigger token of the project, or a job's token
	Ref       string
	Variables map[string]string
}

// StartPipeline starts a pipeline. With a job's token it becomes the
// downstream of the job's own. A request whose answer got lost is not
// repeated: there would be two. The token stands in the body, as GitLab wants
// it, so no redirect is followed.
func (c *Client) StartPipeline(ctx context.Context, s Start) (Pipeline, error) {
	operation := fmt.Sprintf("start a pipeline of %s at %s", c.o.Project, s.Ref)
	body, err := json.Marshal(map[string]any{"token": s.Token.Reveal(), "ref": s.Ref, "variables": s.Variables})
	if err != nil {
		return Pipeline{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address()+"/trigger/pipeline", bytes.NewReader(body))
	if err != nil {
		return Pipeline{}, err
	}
	var started Pipeline
	_, err = c.sendBy(wire.Transport(c.wireOptions()).RoundTrip, req, true, &started)
	if lost(err) && ctx.Err() == nil {
		return started, fault.Newf(fault.Remote, "%s: %w", operation, err).
			Hintf("it may have been started all the same: look at the project's pipelines before the job is run again")
	}
	return started, c.explain(ctx, triggering, operation, err)
}

// Watched is a pipeline or a job that is waited for.
type Watched struct {
	Status string
	URL    string
}

// ended are the states that nothing but a person changes.
var ended = map[string]bool{"success": true, "failed": true, "canceled": true, "skipped": true}

// Await asks for the state again and again, until it has ended or, if it
// stops at people, waits for one. It tells each new state. The time it may
// take is the context's.
func Await(ctx context.Context, every time.Duration, stops bool, ask func(context.Context) (Watched, error), tell func(Watched)) (Watched, error) {
	var last Watched
	for {
		now, err := ask(ctx)
		if err != nil {
			return last, waited(ctx, last, err)
		}
		if now.Status != last.Status {
			tell(now)
		}
		last = now
		if ended[now.Status] || stops && (now.Status == "manual" || now.Status == "scheduled") {
			return last, nil
		}
		select {
		case <-ctx.Done():
			return last, waited(ctx, last, context.Cause(ctx))
		case <-time.After(every):
		}
	}
}

// waited is the error of waiting that took too long, or of being asked to stop.
func waited(ctx context.Context, last Watched, err error) error {
	if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return err
	}
	hint := "let it have more time with --timeout"
	if last.Status == "manual" {
		hint = "a job there waits for somebody: press its button, or pass --strategy mirror, which does not wait for people"
	}
	return fault.Newf(fault.Timeout, "wait for %s: it is %s still", or(last.URL, "GitLab"), or(last.Status, "unknown")).Hintf("%s", hint)
}

// Pipeline reads the state of a pipeline.
func (c *Client) Pipeline(ctx context.Context, id string) (Pipeline, error) {
	var p Pipeline
	err := c.call(ctx, http.MethodGet, "/pipelines/"+url.PathEscape(id), nil, &p)
	return p, c.explain(ctx, watching, fmt.Sprintf("read pipeline %s of %s", id, c.o.Project), err)
}

// Job reads the state of a job.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	var j Job
	err := c.call(ctx, http.MethodGet, "/jobs/"+url.PathEscape(id), nil, &j)
	return j, c.explain(ctx, watching, fmt.Sprintf("read job %s of %s", id, c.o.Project), err)
}

// PlayJob presses the button of a job.
func (c *Client) PlayJob(ctx context.Context, id string, variables map[string]string) (Job, error) {
	type variable struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	list := []variable{}
	for _, key := range sortedKeys(variables) {
		list = append(list, variable{key, variables[key]})
	}
	var j Job
	err := c.call(ctx, http.MethodPost, "/jobs/"+url.PathEscape(id)+"/play", map[string]any{"job_variables_attributes": list}, &j)
	return j, c.explain(ctx, playing, fmt.Sprintf("play job %s of %s", id, c.o.Project), err)
}

// NewestJob finds the newest job of that name in a pipeline, whatever its state.
func (c *Client) NewestJob(ctx context.Context, pipeline, name string) (Job, error) {
	jobs, err := c.PipelineJobs(ctx, pipeline)
	if err != nil {
		return Job{}, err
	}
	var newest Job
	for _, job := range jobs {
		if job.Name == name && job.ID > newest.ID {
			newest = job
		}
	}
	if newest.ID == 0 {
		return newest, fault.Newf(fault.Missing, "find job %q in pipeline %s: there is none of that name", name, pipeline).
			Hintf("pass --job with the name of a job of that pipeline; trigger jobs have no button in the API")
	}
	return newest, nil
}
