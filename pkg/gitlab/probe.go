package gitlab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/wire"
)

// Version is the server's: 18.2.1-ee. A job token is not told; its job has it
// in CI_SERVER_VERSION.
func (c *Client) Version(ctx context.Context) (string, error) {
	var server struct {
		Version string `json:"version"`
	}
	_, err := c.probe(ctx, c.api("/metadata"), &server)
	return server.Version, c.refused(ctx, "ask GitLab for its version", err)
}

// OwnJob asks for the job that a job token is of, and for the time at GitLab;
// the zero time if it does not tell.
func (c *Client) OwnJob(ctx context.Context) (time.Time, error) {
	header, err := c.probe(ctx, c.api("/job"), nil)
	if err != nil {
		return time.Time{}, c.refused(ctx, "ask GitLab for the own job", err)
	}
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // a server need not tell the time
	}
	return at, nil
}

// Settings are those of a project that decide what its pipelines may do.
// Whoever is no Maintainer is told of fewer of them.
type Settings struct {
	Path        string `json:"path_with_namespace"`
	TokensPush  bool   `json:"ci_push_repository_for_job_token_allowed"`
	MinimumRole string `json:"ci_pipeline_variables_minimum_override_role"` // developer, maintainer, owner, no_one_allowed; "" if it is not told
	Restricted  bool   `json:"restrict_user_defined_variables"`             // before there were roles: Maintainers only
}

// Settings asks for the project's. A job token is not told.
func (c *Client) Settings(ctx context.Context) (Settings, error) {
	var s Settings
	_, err := c.probe(ctx, c.project(""), &s)
	if s.MinimumRole == "" && s.Restricted {
		s.MinimumRole = "maintainer"
	}
	return s, c.refused(ctx, "read the settings", err)
}

// Allowlist says whose job tokens a project lets in besides its own.
type Allowlist struct {
	Everybody bool
	Projects  []string // paths
	Groups    []string // paths
}

// Lets says whether a project's job tokens are let in.
func (l Allowlist) Lets(path string) bool {
	for _, project := range l.Projects {
		if l.Everybody || strings.EqualFold(project, path) {
			return true
		}
	}
	for _, group := range l.Groups {
		if rest, within := strings.CutPrefix(strings.ToLower(path), strings.ToLower(group)+"/"); within && rest != "" {
			return true
		}
	}
	return l.Everybody
}

// Allowlist asks for the project's, which only Maintainers are told.
func (c *Client) Allowlist(ctx context.Context) (Allowlist, error) {
	const doing = "read the job token allowlist"
	var scope struct {
		Inbound bool `json:"inbound_enabled"`
	}
	if _, err := c.probe(ctx, c.project("/job_token_scope"), &scope); err != nil {
		return Allowlist{}, c.refused(ctx, doing, err)
	}
	if !scope.Inbound {
		return Allowlist{Everybody: true}, nil
	}
	var projects []struct {
		Path string `json:"path_with_namespace"`
	}
	if _, err := c.probe(ctx, c.project("/job_token_scope/allowlist?per_page=100"), &projects); err != nil {
		return Allowlist{}, c.refused(ctx, doing, err)
	}
	var groups []struct {
		Path string `json:"full_path"`
		URL  string `json:"web_url"`
	}
	_, err := c.probe(ctx, c.project("/job_token_scope/groups_allowlist?per_page=100"), &groups)
	if err != nil && statusOf(err) != http.StatusNotFound { // before 17 there is none
		return Allowlist{}, c.refused(ctx, doing, err)
	}
	var list Allowlist
	for _, p := range projects {
		list.Projects = append(list.Projects, p.Path)
	}
	for _, g := range groups {
		list.Groups = append(list.Groups, groupPath(g.Path, g.URL))
	}
	return list, nil
}

// groupPath is a group's path; GitLab tells only its address, which ends in it.
func groupPath(path, address string) string {
	if path != "" {
		return path
	}
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	_, after, found := strings.Cut(u.Path, "/groups/")
	if !found {
		after = u.Path
	}
	return strings.Trim(after, "/")
}

// MayReadJobs asks for a job of the project, or for those of a pipeline.
func (c *Client) MayReadJobs(ctx context.Context, pipeline, job string) error {
	path := "/pipelines/" + url.PathEscape(pipeline) + "/jobs?per_page=1"
	if pipeline == "" {
		path = "/jobs/" + url.PathEscape(job)
	}
	_, err := c.probe(ctx, c.project(path), nil)
	return c.refused(ctx, "read jobs", err)
}

// MayReadArtifacts asks for the artifacts of a job, and reads none of them.
func (c *Client) MayReadArtifacts(ctx context.Context, job string) error {
	_, err := c.probe(ctx, c.project("/jobs/"+url.PathEscape(job)+"/artifacts"), nil)
	return c.refused(ctx, "read the artifacts of job "+job, err)
}

// MayReadPackages asks for a package that need not be there.
func (c *Client) MayReadPackages(ctx context.Context, name string) error {
	_, err := c.probe(ctx, c.project(packagePath(name, "0.0.0", "none")), nil)
	if statusOf(err) == http.StatusNotFound && !strings.Contains(err.Error(), "Project") {
		return nil
	}
	return c.refused(ctx, "read a package", err)
}

func (c *Client) api(path string) string { return strings.TrimSuffix(c.o.API, "/") + path }

func (c *Client) project(path string) string {
	return c.api("/projects/" + url.PathEscape(c.o.Project) + path)
}

// mostAnswer is how much of an answer to a probe is read, in bytes.
const mostAnswer = 1 << 20

// probe asks once for something and reads a little of the answer: a redirect,
// as to an object storage, is answer enough, and is not followed.
func (c *Client) probe(ctx context.Context, address string, out any) (http.Header, error) {
	req, err := c.request(ctx, http.MethodGet, "", nil)
	if err != nil {
		return nil, err
	}
	if req.URL, err = url.Parse(address); err != nil {
		return nil, wire.Clean(err)
	}
	req.Host = req.URL.Host
	resp, err := wire.Transport(wire.Options{UserAgent: "towline", MinWait: c.o.Wait, Attempts: 2, Proxy: http.ProxyFromEnvironment, Log: c.o.Log}).RoundTrip(req)
	if err != nil {
		return nil, wire.Clean(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 == 3 || resp.StatusCode/100 == 2 && out == nil {
		return resp.Header, nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	switch {
	case err != nil:
		return nil, wire.Clean(err)
	case resp.StatusCode/100 != 2:
		return nil, refusalOf(resp, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return nil, fault.Newf(fault.Remote, "read GitLab's answer: %w", fmt.Errorf("it is no JSON: %w", err)).Hintf("check the address of GitLab's API")
	}
	return resp.Header, nil
}
