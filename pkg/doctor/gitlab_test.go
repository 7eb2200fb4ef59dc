package doctor_test

import (
	"testing"

	"gitlab.com/towline/towline/pkg/doctor"
	"gitlab.com/towline/towline/pkg/fault"
)

func TestGitLab(t *testing.T) {
	const (
		role = "Settings, CI/CD, Variables, Minimum role to use pipeline variables: Developer"
		push = "Settings, CI/CD, Job token permissions: Allow Git push requests to the repository (17.2 by a flag, 18.4), " +
			"or tag without a push: towline tag --through releases-api, as the components do"
		free = "hand over by a generic package: the input carrier: package of model-trigger and mlops-pipeline, or towline handover --through package"
	)
	settings := func(s doctor.Settings) *doctor.Settings { s.Path = "g/own"; return &s }
	downstream := func(role string, a doctor.Answer) *doctor.Downstream {
		return &doctor.Downstream{Project: "p/deploy", Asked: a, Settings: doctor.Settings{MinimumRole: role}}
	}
	up := &doctor.Upstream{Project: "7", Job: "1001"}
	const nobody = "no other project started this pipeline"
	for _, tt := range []struct {
		name   string
		gitlab doctor.GitLab
		want   doctor.Check
	}{
		{"a GitLab that lacks nothing", doctor.GitLab{Version: "18.9.1-ee"}, doctor.Check{Name: "version", State: doctor.OK, Found: "18.9.1-ee: everything there is"}},
		{"18.2", doctor.GitLab{Version: "18.2.0"}, doctor.Check{Name: "version", State: doctor.OK,
			Found: "18.2.0: pass: variables in model-trigger (CI_UPSTREAM_*), from 18.9 on"}},
		{"17.11", doctor.GitLab{Version: "17.11.2"}, doctor.Check{Name: "version", State: doctor.OK,
			Found: "17.11.2: job tokens read no lists of jobs: let the trigger job pass on UPSTREAM_JOB_ID, from 18.0 on; " +
				"strategy: depend in model-trigger (mirror), from 18.2 on; pass: variables in model-trigger (CI_UPSTREAM_*), from 18.9 on"}},
		{"16.11", doctor.GitLab{Version: "16.11.10-ee"}, doctor.Check{Name: "version", State: doctor.OK,
			Found: "16.11.10-ee: no input confirm (manual_confirmation), from 17.1 on; no pushes by job tokens: tag --through releases-api, from 17.2 on; " +
				"job tokens read no lists of jobs: let the trigger job pass on UPSTREAM_JOB_ID, from 18.0 on; " +
				"strategy: depend in model-trigger (mirror), from 18.2 on; pass: variables in model-trigger (CI_UPSTREAM_*), from 18.9 on"}},
		{"16.10", doctor.GitLab{Version: "16.10.0"}, doctor.Check{Name: "version", State: doctor.Warning, Found: "16.10.0",
			Setting: "update GitLab: 16.11 is the oldest that the components are written for"}},
		{"a version that nobody tells", doctor.GitLab{VersionFrom: unasked}, doctor.Check{Name: "version", State: doctor.NotChecked, Found: "--offline"}},
		{"a version that is not told", doctor.GitLab{VersionFrom: denied}, doctor.Check{Name: "version", State: doctor.Warning, Found: "do it: AccessDenied", Setting: "allow it"}},

		{"Premium", doctor.GitLab{InJob: true, Features: []string{"epics", "cross_project_pipelines"}},
			doctor.Check{Name: "tier", State: doctor.OK, Found: "Premium or more: job tokens get this project's artifacts"}},
		{"Free", doctor.GitLab{InJob: true, Features: []string{""}}, doctor.Check{Name: "tier", State: doctor.Warning, Setting: free,
			Found: "Free: job tokens get no artifacts of this project, and needs:project does not work"}},
		{"a laptop knows no tier", doctor.GitLab{}, doctor.Check{Name: "tier", State: doctor.NotChecked, Found: "only a job knows it, by GITLAB_FEATURES"}},

		{"a job token", doctor.GitLab{}, doctor.Check{Name: "job token", State: doctor.OK, Found: "GitLab takes it"}},
		{"a job token that ended", doctor.GitLab{Token: denied}, doctor.Check{Name: "job token", State: doctor.Failed, Found: "do it: AccessDenied", Code: fault.Denied,
			Setting: "run the job again: a job token ends with its job; a variable CI_JOB_TOKEN of the project or group (Settings, CI/CD, Variables) would hide it"}},
		{"a GitLab that is down", doctor.GitLab{Token: remote},
			doctor.Check{Name: "job token", State: doctor.Failed, Found: "ask it: connection refused", Setting: "try again", Code: fault.Remote}},

		{"a token that may push", doctor.GitLab{}, doctor.Check{Name: "push", State: doctor.OK, Found: "the job token may push"}},
		{"a token that may not", doctor.GitLab{Push: denied}, doctor.Check{Name: "push", State: doctor.Warning, Found: "do it: AccessDenied", Setting: push}},
		{"a git that is out of reach", doctor.GitLab{Push: remote},
			doctor.Check{Name: "push", State: doctor.Failed, Found: "ask it: connection refused", Setting: "try again", Code: fault.Remote}},
		{"a setting that lets push", doctor.GitLab{Push: unasked, Settings: settings(doctor.Settings{TokensPush: true})},
			doctor.Check{Name: "push", State: doctor.OK, Found: "job tokens may push to g/own"}},
		{"a setting that does not", doctor.GitLab{Push: unasked, Settings: settings(doctor.Settings{})},
			doctor.Check{Name: "push", State: doctor.Warning, Found: "job tokens may not push to g/own", Setting: push}},
		{"no push was tried", doctor.GitLab{Push: unasked}, doctor.Check{Name: "push", State: doctor.NotChecked, Found: "--offline"}},
		{"protected tags", doctor.GitLab{}, doctor.Check{Name: "tags", State: doctor.NotChecked, Found: "whether the user may make a release cannot be asked without making one",
			Setting: "the user who starts the pipeline: Developer at least, and allowed to create the tag (Settings, Repository, Protected tags)"}},

		{"a hand-over", doctor.GitLab{Upstream: up}, doctor.Check{Name: "hand-over", State: doctor.OK, Found: "of project 7"}},
		{"a hand-over by name, before 18", doctor.GitLab{Version: "17.11.0", Upstream: &doctor.Upstream{Project: "7"}}, doctor.Check{Name: "hand-over", State: doctor.Warning,
			Found: "of project 7, whose job is known by its name only", Setting: "let the trigger job pass on UPSTREAM_JOB_ID: before GitLab 18 job tokens read no lists of jobs"}},
		{"a hand-over by name", doctor.GitLab{Version: "18.9.0", Upstream: &doctor.Upstream{Project: "7"}},
			doctor.Check{Name: "hand-over", State: doctor.OK, Found: "of project 7"}},
		{"variables that did not arrive", doctor.GitLab{Source: "pipeline"}, doctor.Check{Name: "hand-over", State: doctor.Failed, Code: fault.Missing,
			Found:   "another project started this pipeline, and told it nothing: neither UPSTREAM_* nor CI_UPSTREAM_* is set",
			Setting: "here: " + role + "; and in the trigger job forward: {yaml_variables: true}. From GitLab 18.9 on none are needed"}},
		{"no hand-over", doctor.GitLab{Source: "push"}, doctor.Check{Name: "hand-over", State: doctor.NotChecked, Found: nobody}},

		{"no upstream", doctor.GitLab{}, doctor.Check{Name: "upstream", State: doctor.NotChecked, Found: nobody + "; --upstream PROJECT asks for one"}},
		{"upstream jobs", doctor.GitLab{Upstream: up}, doctor.Check{Name: "upstream jobs", State: doctor.OK, Found: "may be read in project 7"}},
		{"upstream jobs that are not needed", doctor.GitLab{Upstream: &doctor.Upstream{Project: "7", Job: "1", ReadJobs: denied}},
			doctor.Check{Name: "upstream jobs", State: doctor.Warning, Found: "do it: AccessDenied", Setting: "allow it"}},
		{"upstream jobs that are", doctor.GitLab{Upstream: &doctor.Upstream{Project: "7", ReadJobs: denied}},
			doctor.Check{Name: "upstream jobs", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied}},
		{"upstream artifacts", doctor.GitLab{Upstream: up}, doctor.Check{Name: "upstream artifacts", State: doctor.OK, Found: "may be read in project 7"}},
		{"no artifacts, but packages", doctor.GitLab{Upstream: &doctor.Upstream{Project: "7", Job: "1", Artifacts: denied}},
			doctor.Check{Name: "upstream artifacts", State: doctor.Warning, Found: "do it: AccessDenied; its packages may be read", Setting: "allow it"}},
		{"neither artifacts nor packages", doctor.GitLab{Upstream: &doctor.Upstream{Project: "7", Job: "1", Artifacts: denied, Package: denied}},
			doctor.Check{Name: "upstream artifacts", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied}},
		{"upstream packages", doctor.GitLab{Upstream: up}, doctor.Check{Name: "upstream packages", State: doctor.OK, Found: "may be read in project 7"}},
		{"no packages, but artifacts", doctor.GitLab{Upstream: &doctor.Upstream{Project: "7", Job: "1", Package: denied}},
			doctor.Check{Name: "upstream packages", State: doctor.Warning, Found: "do it: AccessDenied", Setting: "allow it"}},
		{"neither packages nor artifacts", doctor.GitLab{Upstream: &doctor.Upstream{Project: "7", Artifacts: unasked, Package: denied}},
			doctor.Check{Name: "upstream packages", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied}},

		{"no token to ask for the allowlist with", doctor.GitLab{}, doctor.Check{Name: "allowlist", State: doctor.NotChecked,
			Found: "only a Maintainer's token is told: set TOWLINE_GITLAB_TOKEN to one of the upstream project"}},
		{"an allowlist that is not told", doctor.GitLab{Allowlist: &doctor.Allowlist{Upstream: "g/up", Own: "g/own", Asked: denied}},
			doctor.Check{Name: "allowlist", State: doctor.NotChecked, Found: "do it: AccessDenied", Setting: "allow it"}},
		{"an allowlist for nobody knows whom", doctor.GitLab{Allowlist: &doctor.Allowlist{Upstream: "g/up", Lets: true}},
			doctor.Check{Name: "allowlist", State: doctor.NotChecked, Found: "--project PROJECT says whose job tokens it is about"}},
		{"an allowlist with the project", doctor.GitLab{Allowlist: &doctor.Allowlist{Upstream: "g/up", Own: "g/own", Lets: true}},
			doctor.Check{Name: "allowlist", State: doctor.OK, Found: "project g/up lets job tokens of g/own in"}},
		{"an allowlist without", doctor.GitLab{Allowlist: &doctor.Allowlist{Upstream: "g/up", Own: "g/own"}}, doctor.Check{Name: "allowlist", State: doctor.Failed, Code: fault.Denied,
			Found: "project g/up does not let job tokens of g/own in", Setting: "in project g/up: Settings, CI/CD, Job token permissions, Add group or project: g/own"}},

		{"no downstream", doctor.GitLab{}, doctor.Check{Name: "downstream", State: doctor.NotChecked, Found: "--downstream PROJECT asks for the one that a trigger job starts"}},
		{"a downstream", doctor.GitLab{Downstream: downstream("developer", doctor.Answer{})}, doctor.Check{Name: "downstream", State: doctor.OK, Found: "project p/deploy is there"}},
		{"a downstream that is hidden", doctor.GitLab{Downstream: downstream("", denied)}, doctor.Check{Name: "downstream", State: doctor.Failed, Found: "do it: AccessDenied",
			Setting: "set TOWLINE_GITLAB_TOKEN to a token with read_api of a member of project p/deploy", Code: fault.Denied}},
		{"variables that Developers may set", doctor.GitLab{Downstream: downstream("developer", doctor.Answer{})},
			doctor.Check{Name: "downstream variables", State: doctor.OK, Found: "Developers may set those of project p/deploy"}},
		{"variables that Maintainers may set", doctor.GitLab{Downstream: downstream("maintainer", doctor.Answer{})}, doctor.Check{Name: "downstream variables", State: doctor.Warning,
			Found: "project p/deploy lets only those set them who are maintainer there", Setting: "in project p/deploy: " + role + "; or let such a user start the pipelines"}},
		{"variables that nobody may set", doctor.GitLab{Downstream: downstream("no_one_allowed", doctor.Answer{})}, doctor.Check{Name: "downstream variables", State: doctor.Failed,
			Found: "project p/deploy lets nobody set pipeline variables", Code: fault.Denied,
			Setting: "in project p/deploy: " + role + "; or, from GitLab 18.9 on, the input pass: predefined of model-trigger"}},
		{"variables of which a Developer is not told", doctor.GitLab{Downstream: downstream("", doctor.Answer{})}, doctor.Check{Name: "downstream variables", State: doctor.NotChecked,
			Found: "only a Maintainer's token is told who may set them", Setting: "look in project p/deploy: " + role}},
		{"variables of a project that was not asked", doctor.GitLab{Downstream: downstream("", unasked)},
			doctor.Check{Name: "downstream variables", State: doctor.NotChecked, Found: "no downstream project was asked"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			same(t, doctor.Facts{GitLab: tt.gitlab}, doctor.GroupGitLab, want{Check: tt.want})
		})
	}
}
