package gitlab_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/secret"
)

// registered is the number of the first version that a fake has.
const registered = "5002"

func named(string) string { return "mean 1.0.0" }

// writes are the calls that change something at GitLab.
var writes = map[string]func(context.Context, *gitlab.Client) error{
	"note": func(ctx context.Context, c *gitlab.Client) error { _, err := c.PutNote(ctx, noted("x")); return err },
	"deployment": func(ctx context.Context, c *gitlab.Client) error {
		_, err := c.StartDeployment(ctx, gitlab.Deployment{Environment: "prod", Commit: wanted.Commit, Ref: "main"})
		return err
	},
	"release": func(ctx context.Context, c *gitlab.Client) error {
		_, err := c.CompleteRelease(ctx, "v1", "", nil)
		return err
	},
	"name":     func(ctx context.Context, c *gitlab.Client) error { return c.NamePipeline(ctx, "8", "", named) },
	"registry": func(ctx context.Context, c *gitlab.Client) error { _, err := c.RegisterModel(ctx, version); return err },
	"package": func(ctx context.Context, c *gitlab.Client) error {
		return c.PutPackage(ctx, "towline-handover", "8.7", file("handover.zip", "x"))
	},
	"file": func(ctx context.Context, c *gitlab.Client) error {
		_, err := c.PutModelFile(ctx, version, registered, file("release.json", "{}"))
		return err
	},
	"trigger": func(ctx context.Context, c *gitlab.Client) error {
		_, err := c.StartPipeline(ctx, gitlab.Start{Token: secret.New(gitlabtest.Token), Ref: "main"})
		return err
	},
	"tag":  func(ctx context.Context, c *gitlab.Client) error { return c.CreateRelease(ctx, wanted) },
	"play": func(ctx context.Context, c *gitlab.Client) error { _, err := c.PlayJob(ctx, "1001", nil); return err },
}

func TestEachCallNamesTheSettingToChange(t *testing.T) {
	for _, tt := range []struct {
		call   string
		who    gitlabtest.Credential // of a project token, or of a job
		change func(*gitlabtest.ProjectSettings)
		kind   fault.Kind
		hint   string
	}{
		{"note", gitlabtest.Credential{Project: gitlabtest.OwnProject}, nil, fault.Denied, "TOWLINE_GITLAB_TOKEN"},
		{"note", gitlabtest.Credential{Scope: "read_api"}, nil, fault.Denied, "scope api"},
		{"note", gitlabtest.Credential{}, off("merge_requests"), fault.Missing, "merge requests are on"},
		{"deployment", gitlabtest.Credential{Project: gitlabtest.OwnProject, Role: gitlabtest.Reporter}, nil, fault.Denied, "Developer"},
		{"deployment", gitlabtest.Credential{Project: gitlabtest.OwnProject}, protected("prod"), fault.Denied, "Protected environments"},
		{"deployment", gitlabtest.Credential{Project: gitlabtest.OwnProject}, off("environments"), fault.Denied, "environments be on"},
		{"release", gitlabtest.Credential{Project: gitlabtest.OwnProject, Role: gitlabtest.Guest}, nil, fault.Denied, "Protected tags"},
		{"name", gitlabtest.Credential{Project: gitlabtest.OwnProject, Role: gitlabtest.Reporter}, nil, fault.Denied, "Developer"},
		{"registry", gitlabtest.Credential{Project: gitlabtest.OwnProject}, nil, fault.Denied, "TOWLINE_GITLAB_TOKEN"},
		{"registry", gitlabtest.Credential{Role: gitlabtest.Reporter}, nil, fault.Denied, "role Developer"},
		{"registry", gitlabtest.Credential{}, off("model_registry"), fault.Denied, "model registry and model experiments be on"},
		{"play", gitlabtest.Credential{Project: gitlabtest.OwnProject}, nil, fault.Denied, "cannot play"},
		{"play", gitlabtest.Credential{Role: gitlabtest.Reporter}, nil, fault.Denied, "role that may run the job"},
		{"play", gitlabtest.Credential{}, nil, fault.Missing, "number of the pipeline"},
	} {
		t.Run(tt.call+" "+tt.hint, func(t *testing.T) {
			s := gitlabtest.Start(t, "")
			s.AddMergeRequest(gitlabtest.MergeRequest{Project: gitlabtest.OwnProject, IID: 7})
			if tt.change != nil {
				s.ChangeProject(gitlabtest.OwnProject, tt.change)
			}
			c := withToken(s, tt.who)
			if tt.who.Project != 0 {
				s.AddToken(projectToken, tt.who)
				c = gitlab.New(gitlab.Options{API: s.API, Project: gitlabtest.Project, Token: secret.New(projectToken), Wait: time.Millisecond})
			}
			err := writes[tt.call](t.Context(), c)
			if fault.KindOf(err) != tt.kind || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("%s = %v (exit %d, hint %q), want exit %d and %q", tt.call, err, fault.KindOf(err), fault.HintOf(err), tt.kind, tt.hint)
			}
			if err != nil && strings.Contains(err.Error()+fault.HintOf(err), projectToken) {
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}

// What GitLab says when it turns a call that changes something away, by status.
var turnedAway = map[int]string{
	http.StatusForbidden:             `{"message":"403 Forbidden"}`,
	http.StatusNotFound:              `{"message":"404 Not Found"}`,
	http.StatusConflict:              `{"message":"409 Conflict: Resource lock"}`,
	http.StatusRequestEntityTooLarge: "<html><head><title>413 Request Entity Too Large</title></head></html>",
	http.StatusTooManyRequests:       "Retry later\n",
}

// Of each call each answer is told apart: by the exit code, and by a setting
// that mends that very call.
func TestEachAnswerNamesTheSettingToChange(t *testing.T) {
	type told struct {
		kind fault.Kind
		hint string
	}
	limited := told{fault.Remote, "limits its clients"}
	for call, answers := range map[string]map[int]told{
		"package": {
			403: {fault.Denied, "Protected packages"}, 404: {fault.Denied, "package registry be on"}, 409: {fault.Conflict, "run the job again"},
			413: {fault.Repository, "largest size of generic packages"}, 429: limited,
		},
		"file": {
			403: {fault.Denied, "no rule protect the package"}, 404: {fault.Denied, "package registry be on"}, 409: {fault.Conflict, "run the job again"},
			413: {fault.Repository, "leave the archive out"}, 429: limited,
		},
		"trigger": {
			403: {fault.Denied, "Protected branches"}, 404: {fault.Denied, "Pipeline trigger tokens"}, 409: {fault.Conflict, "run the job again"},
			413: {fault.Repository, "client_max_body_size"}, 429: limited,
		},
		"note": {
			403: {fault.Denied, "unlock the discussion"}, 404: {fault.Missing, "number of the merge request"}, 409: {fault.Conflict, "run the job again"},
			413: {fault.Repository, "client_max_body_size"}, 429: limited,
		},
		"deployment": {
			403: {fault.Denied, "Protected environments"}, 404: {fault.Denied, "environments be on"}, 409: {fault.Conflict, "run the job again"},
			413: {fault.Repository, "client_max_body_size"}, 429: limited,
		},
		"tag": {
			403: {fault.Denied, "Protected tags"}, 404: {fault.Denied, "releases be on"}, 409: {fault.Conflict, "without its tag"},
			413: {fault.Repository, "client_max_body_size"}, 429: limited,
		},
		"release": {
			403: {fault.Denied, "Protected tags"}, 404: {fault.Denied, "releases be on"}, 413: {fault.Repository, "client_max_body_size"}, 429: limited,
		},
	} {
		for status, want := range answers {
			t.Run(call+" "+strconv.Itoa(status), func(t *testing.T) {
				s := gitlabtest.Start(t, "")
				s.AddMergeRequest(gitlabtest.MergeRequest{Project: gitlabtest.OwnProject, IID: 7})
				for _, method := range []string{http.MethodPost, http.MethodPut} {
					s.Fail(gitlabtest.Failure{Method: method, Status: status, Body: turnedAway[status], RetryAfter: "3600"})
				}
				err := writes[call](t.Context(), withToken(s, gitlabtest.Credential{}))
				if fault.KindOf(err) != want.kind || !strings.Contains(fault.HintOf(err), want.hint) {
					t.Errorf("%s = %v (exit %d, hint %q), want exit %d and %q", call, err, fault.KindOf(err), fault.HintOf(err), want.kind, want.hint)
				}
				if changes := writesOf(s); len(changes) != 1 {
					t.Errorf("sent %v, want one request: what was turned away is not repeated, and an hour not waited for", changes)
				}
			})
		}
	}
}

// writesOf are the requests that would have changed something.
func writesOf(s *gitlabtest.Server) []string {
	return slices.DeleteFunc(s.Seen(), func(seen string) bool { return strings.HasPrefix(seen, http.MethodGet+" ") })
}

func off(feature string) func(*gitlabtest.ProjectSettings) {
	return func(p *gitlabtest.ProjectSettings) { p.Off = []string{feature} }
}

func protected(name string) func(*gitlabtest.ProjectSettings) {
	return func(p *gitlabtest.ProjectSettings) { p.Protected = []string{name} }
}

func TestALimitOfEachCallIsWaitedFor(t *testing.T) {
	for name, call := range writes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gitlabtest.Start(t, "")
			s.AddMergeRequest(gitlabtest.MergeRequest{Project: gitlabtest.OwnProject, IID: 7})
			s.PutTag(gitlabtest.Tag{Name: "v1", Target: wanted.Commit})
			s.AddModelVersion(gitlabtest.OwnProject, "other", gitlabtest.ModelVersion{Version: "9.9.9"})
			if _, err := s.AddJob(gitlabtest.Job{Project: gitlabtest.OwnProject, Pipeline: 8, ID: 1001, Name: "deploy", Status: "manual"}); err != nil {
				t.Fatal(err)
			}
			s.Fail(
				gitlabtest.Failure{Method: http.MethodGet, Status: http.StatusTooManyRequests, RetryAfter: "0", Body: "Retry later"},
				gitlabtest.Failure{Method: http.MethodPost, Status: http.StatusTooManyRequests, Body: "Retry later"},
				gitlabtest.Failure{Method: http.MethodPut, Status: http.StatusTooManyRequests, RetryAfter: "0", Body: "Retry later"},
			)
			if err := call(t.Context(), withToken(s, gitlabtest.Credential{})); err != nil {
				t.Errorf("%s = %v, want it to wait and succeed", name, err)
			}
		})
	}
}

func TestALimitThatLastsIsNamed(t *testing.T) {
	s := gitlabtest.Start(t, "")
	s.Limit("throttle_authenticated_api", 0, time.Hour)
	err := client(s).NamePipeline(t.Context(), "8", "", named)
	if err == nil || !strings.Contains(err.Error(), "throttle_authenticated_api allows 0 requests, again from ") || fault.KindOf(err) != fault.Remote {
		t.Errorf("NamePipeline = %v, want the limit named", err)
	}
	if n := len(s.Requests()); n != 1 {
		t.Errorf("%d requests, want 1: an hour is not waited for", n)
	}
}

func TestNoTokenGoesToAnotherHost(t *testing.T) {
	var seen bytes.Buffer
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.Header.Write(&seen)
		_, _ = io.Copy(&seen, r.Body)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(other.Close)
	leads := httptest.NewServer(http.RedirectHandler(strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusTemporaryRedirect))
	t.Cleanup(leads.Close)
	for name, call := range writes {
		c := gitlab.New(gitlab.Options{API: leads.URL, Project: "42", Header: gitlab.PrivateToken, Token: secret.New(projectToken), Wait: time.Millisecond})
		if err := call(t.Context(), c); err == nil {
			t.Errorf("%s succeeded at another host", name)
		}
	}
	c := gitlab.New(gitlab.Options{API: leads.URL, Project: "42", Wait: time.Millisecond})
	if _, err := c.StartPipeline(t.Context(), gitlab.Start{Token: secret.New(projectToken), Ref: "main"}); err == nil {
		t.Error("a pipeline was started at another host")
	}
	if strings.Contains(seen.String(), projectToken) {
		t.Errorf("another host was shown the token:\n%s", seen.String())
	}
}
