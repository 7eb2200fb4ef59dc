package gitlab_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/secret"
)

const (
	maintainer = "token-of-a-maintainer"
	developer  = "token-of-a-developer"
	jobsToken  = "token-of-a-job"
)

// asked is a GitLab with an upstream project 7, whose job 1001 left an archive.
func asked(t *testing.T, settings gitlabtest.ProjectSettings) *gitlabtest.Server {
	t.Helper()
	server := gitlabtest.Start(t, "")
	settings.ID, settings.Path = 7, "science/risk"
	server.AddProject(settings)
	server.AddToken(maintainer, gitlabtest.Credential{Projects: []int{7}})
	server.AddToken(developer, gitlabtest.Credential{Projects: []int{7}, Developer: true})
	server.AddToken(jobsToken, gitlabtest.Credential{Project: gitlabtest.OwnProject, Job: 2002})
	for _, j := range []gitlabtest.Job{
		{Project: 7, Pipeline: 100, ID: 1001, Name: "handover", Artifacts: t.TempDir()},
		{Project: gitlabtest.OwnProject, Pipeline: 200, ID: 2002, Name: "doctor"},
	} {
		if _, err := server.AddJob(j); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

func asking(server *gitlabtest.Server, token string) *gitlab.Client {
	header := gitlab.PrivateToken
	if token == jobsToken {
		header = gitlab.JobToken
	}
	return gitlab.New(gitlab.Options{API: server.API, Project: "7", Header: header, Token: secret.New(token), Wait: time.Millisecond})
}

func TestProbes(t *testing.T) {
	readJobs := func(ctx context.Context, c *gitlab.Client) error { return c.MayReadJobs(ctx, "100", "") }
	oneJob := func(ctx context.Context, c *gitlab.Client) error { return c.MayReadJobs(ctx, "", "1001") }
	artifacts := func(ctx context.Context, c *gitlab.Client) error { return c.MayReadArtifacts(ctx, "1001") }
	none := func(ctx context.Context, c *gitlab.Client) error { return c.MayReadArtifacts(ctx, "5") }
	packages := func(ctx context.Context, c *gitlab.Client) error { return c.MayReadPackages(ctx, "towline-handover") }
	own := func(ctx context.Context, c *gitlab.Client) error { _, err := c.OwnJob(ctx); return err }
	settings := func(ctx context.Context, c *gitlab.Client) error { _, err := c.Settings(ctx); return err }
	allowlist := func(ctx context.Context, c *gitlab.Client) error { _, err := c.Allowlist(ctx); return err }
	version := func(ctx context.Context, c *gitlab.Client) error { _, err := c.Version(ctx); return err }
	open := gitlabtest.ProjectSettings{Open: true}
	for _, tt := range []struct {
		name     string
		settings gitlabtest.ProjectSettings
		token    string
		ask      func(context.Context, *gitlab.Client) error
		kind     fault.Kind // 0 for none
		hint     string
	}{
		{"jobs", open, jobsToken, readJobs, 0, ""},
		{"one job", open, jobsToken, oneJob, 0, ""},
		{"artifacts", open, jobsToken, artifacts, 0, ""},
		{"artifacts of a job that left none", open, jobsToken, none, fault.Missing, "artifacts:paths"},
		{"a package that is not there", open, jobsToken, packages, 0, ""},
		{"the own job", open, jobsToken, own, 0, ""},
		{"a job token of nobody", open, "unknown", own, fault.Denied, "read_api"},
		{"another project's jobs", gitlabtest.ProjectSettings{}, jobsToken, readJobs, fault.Denied, "Job token permissions"},
		{"another project's artifacts", gitlabtest.ProjectSettings{}, jobsToken, artifacts, fault.Denied, "Job token permissions"},
		{"another project's packages", gitlabtest.ProjectSettings{}, jobsToken, packages, fault.Denied, "Job token permissions"},
		{"artifacts of a group's project", gitlabtest.ProjectSettings{AllowGroups: []string{"group"}}, jobsToken, artifacts, 0, ""},
		{"artifacts on Free", gitlabtest.ProjectSettings{Open: true, Free: true}, jobsToken, artifacts, fault.Denied, "handover --through package"},
		{"packages on Free", gitlabtest.ProjectSettings{Open: true, Free: true}, jobsToken, packages, 0, ""},
		{"jobs before 18", gitlabtest.ProjectSettings{Open: true, HideJobs: true}, jobsToken, readJobs, fault.Denied, "UPSTREAM_JOB_ID"},
		{"settings with a job token", open, jobsToken, settings, fault.Denied, ""},
		{"the allowlist with a job token", open, jobsToken, allowlist, fault.Denied, ""},
		{"the allowlist for a Developer", open, developer, allowlist, fault.Denied, "read_api"},
		{"the version", open, developer, version, 0, ""},
		{"the version with a job token", open, jobsToken, version, fault.Denied, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := asked(t, tt.settings)
			server.SetTransfer(gitlabtest.Transfer{Redirect: true})
			err := tt.ask(t.Context(), asking(server, tt.token))
			switch {
			case tt.kind == 0 && err != nil, tt.kind != 0 && fault.KindOf(err) != tt.kind, !strings.Contains(fault.HintOf(err), tt.hint):
				t.Errorf("got %v (%d, hint %q), want kind %d with hint %q", err, fault.KindOf(err), fault.HintOf(err), tt.kind, tt.hint)
			}
			for _, r := range server.Requests() {
				if r.Host == "storage" || r.Method != http.MethodGet {
					t.Errorf("a probe sent %s to %s", r.Method, r.Host)
				}
			}
		})
	}
}

func TestSettings(t *testing.T) {
	server := asked(t, gitlabtest.ProjectSettings{TokensPush: true, MinimumRole: "no_one_allowed"})
	for token, want := range map[string]gitlab.Settings{
		maintainer: {Path: "science/risk", TokensPush: true, MinimumRole: "no_one_allowed"},
		developer:  {Path: "science/risk"},
	} {
		got, err := asking(server, token).Settings(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Settings for %s, %v (-want +got):\n%s", token, err, diff)
		}
	}
}

// Before 17.1 there was one switch, and no roles.
func TestSettingsOfAnOlderGitLab(t *testing.T) {
	server := gitlabtest.Start(t, "")
	server.AddToken(maintainer, gitlabtest.Credential{})
	server.Fail(gitlabtest.Failure{Method: http.MethodGet, Path: "/projects/7", Status: http.StatusOK,
		Body: `{"path_with_namespace": "a/b", "restrict_user_defined_variables": true}`})
	got, err := asking(server, maintainer).Settings(t.Context())
	if err != nil || got.MinimumRole != "maintainer" {
		t.Errorf("Settings = %+v, %v", got, err)
	}
}

func TestAllowlist(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings gitlabtest.ProjectSettings
		lets     map[string]bool
	}{
		{"itself alone", gitlabtest.ProjectSettings{}, map[string]bool{"science/risk": true, "group/own": false, "science/riskier": false}},
		{"a project", gitlabtest.ProjectSettings{Allow: []int{gitlabtest.OwnProject}}, map[string]bool{"group/own": true, "Group/Own": true, "group/other": false}},
		{"a group", gitlabtest.ProjectSettings{AllowGroups: []string{"group/sub"}}, map[string]bool{"group/sub/own": true, "group/sub/a/b": true, "group/own": false, "group/subway/own": false}},
		{"everybody", gitlabtest.ProjectSettings{Open: true}, map[string]bool{"anybody/at-all": true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := asking(asked(t, tt.settings), maintainer).Allowlist(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range tt.lets {
				if got := list.Lets(path); got != want {
					t.Errorf("Lets(%s) = %v, want %v, of %+v", path, got, want, list)
				}
			}
		})
	}
}

func TestTheTimeAtGitLab(t *testing.T) {
	at, err := asking(asked(t, gitlabtest.ProjectSettings{}), jobsToken).OwnJob(t.Context())
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("OwnJob = %s, %v", at, err)
	}
}

func TestAnAnswerThatIsNone(t *testing.T) {
	server := asked(t, gitlabtest.ProjectSettings{})
	server.Fail(gitlabtest.Failure{Method: http.MethodGet, Path: "/metadata", Status: http.StatusOK, Body: "<html>welcome to the proxy</html>"})
	_, err := asking(server, maintainer).Version(t.Context())
	if fault.KindOf(err) != fault.Remote || !strings.Contains(err.Error(), "it is no JSON") {
		t.Errorf("Version = %v", err)
	}
}
