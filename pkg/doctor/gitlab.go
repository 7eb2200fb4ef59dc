package doctor

import (
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// GitLab is what was found of the job, and what GitLab's API answered.
type GitLab struct {
	Skip  string // why nobody looked; "" if somebody did
	InJob bool

	Version     string // 18.2.1-ee; "" if unknown
	VersionFrom Answer
	Features    []string // that the project is licensed for, as GITLAB_FEATURES has them
	Token       Answer   // the job's token, at its own job
	Push        Answer   // pushing with it
	Settings    *Settings
	SettingsOf  Answer // asking for them
	Source      string // of the pipeline: push, pipeline…
	Upstream    *Upstream
	Allowlist   *Allowlist
	Downstream  *Downstream
}

// Allowlist is whose job tokens the upstream project lets in.
type Allowlist struct {
	Upstream string
	Own      string // the project that wants in; "" if it is not known
	Asked    Answer
	Lets     bool // it lets that one in
}

// Settings are those of a project that decide what pipelines may do.
type Settings struct {
	Path        string
	TokensPush  bool   // job tokens of the project may push to it
	MinimumRole string // to use pipeline variables; "" if it is not told
}

// Upstream is the project that hands over.
type Upstream struct {
	Project   string
	Job       string // its number; "" if only its pipeline is known
	ReadJobs  Answer
	Artifacts Answer
	Package   Answer // the other carrier
}

// Downstream is the project that a trigger job starts a pipeline of.
type Downstream struct {
	Project string
	Asked   Answer
	Settings
}

func (g GitLab) checks() []Check {
	all := []Check{g.version(), g.tier(), g.token(), g.push(), g.tags()}
	all = append(all, g.handedOver())
	all = append(all, g.upstream()...)
	return append(all, g.allowlist(), g.downstream(), g.variables())
}

// oldest is the oldest GitLab that the components are written for.
const oldest = "16.11"

// differences are what a GitLab lacks that is older than a version.
// https://docs.gitlab.com/ci/yaml/
var differences = []struct{ since, without string }{
	{"17.1", "no input confirm (manual_confirmation)"},
	{"17.2", "no pushes by job tokens: tag --through releases-api"},
	{"18.0", "job tokens read no lists of jobs: let the trigger job pass on UPSTREAM_JOB_ID"},
	{"18.2", "strategy: depend in model-trigger (mirror)"},
	{"18.9", "pass: variables in model-trigger (CI_UPSTREAM_*)"},
}

func (g GitLab) version() Check {
	c := g.VersionFrom.check("version", g.Version)
	if c.State != OK {
		return c.as(Warning)
	}
	if older(g.Version, oldest) {
		c.State, c.Setting = Warning, "update GitLab: "+oldest+" is the oldest that the components are written for"
		return c
	}
	var without []string
	for _, d := range differences {
		if older(g.Version, d.since) {
			without = append(without, d.without+", from "+d.since+" on")
		}
	}
	c.Found += ": everything there is"
	if len(without) > 0 {
		c.Found = g.Version + ": " + strings.Join(without, "; ")
	}
	return c
}

// carriesArtifacts is the licensed feature without which job tokens get no
// artifacts.
const carriesArtifacts = "cross_project_pipelines"

func (g GitLab) tier() Check {
	const name = "tier"
	switch {
	case !g.InJob:
		return Check{Name: name, State: NotChecked, Found: "only a job knows it, by GITLAB_FEATURES"}
	case slices.Contains(g.Features, carriesArtifacts):
		return Check{Name: name, State: OK, Found: "Premium or more: job tokens get this project's artifacts"}
	}
	return Check{
		Name: name, State: Warning, Found: "Free: job tokens get no artifacts of this project, and needs:project does not work",
		Setting: "hand over by a generic package: the input carrier: package of model-trigger and mlops-pipeline, or towline handover --through package",
	}
}

func (g GitLab) token() Check {
	c := g.Token.check("job token", "GitLab takes it")
	if g.Token.denied() {
		c.Setting = "run the job again: a job token ends with its job; a variable CI_JOB_TOKEN of the project or group (Settings, CI/CD, Variables) would hide it"
	}
	return c
}

// pushSetting is where a project lets its job tokens push.
const pushSetting = "Settings, CI/CD, Job token permissions: Allow Git push requests to the repository (17.2 by a flag, 18.4), " +
	"or tag without a push: towline tag --through releases-api, as the components do"

func (g GitLab) push() Check {
	const name = "push"
	if g.Settings != nil && g.Push.Not != "" {
		if g.Settings.TokensPush {
			return Check{Name: name, State: OK, Found: "job tokens may push to " + g.Settings.Path}
		}
		return Check{Name: name, State: Warning, Found: "job tokens may not push to " + g.Settings.Path, Setting: pushSetting}
	}
	c := g.Push.check(name, "the job token may push")
	if g.Push.denied() {
		c.Setting = pushSetting
		return c.as(Warning) // releases make tags without one
	}
	return c
}

func (g GitLab) tags() Check {
	return Check{
		Name: "tags", State: NotChecked, Found: "whether the user may make a release cannot be asked without making one",
		Setting: "the user who starts the pipeline: Developer at least, and allowed to create the tag (Settings, Repository, Protected tags)",
	}
}

// handedOver holds what arrived against how the pipeline was started.
func (g GitLab) handedOver() Check {
	const name = "hand-over"
	switch {
	case g.Upstream != nil && g.Upstream.Job == "" && older(g.Version, "18.0") && g.Version != "":
		return Check{
			Name: name, State: Warning, Found: "of project " + g.Upstream.Project + ", whose job is known by its name only",
			Setting: "let the trigger job pass on UPSTREAM_JOB_ID: before GitLab 18 job tokens read no lists of jobs",
		}
	case g.Upstream != nil:
		return Check{Name: name, State: OK, Found: "of project " + g.Upstream.Project}
	case g.Source == "pipeline":
		return Check{
			Name: name, State: Failed, Found: "another project started this pipeline, and told it nothing: neither UPSTREAM_* nor CI_UPSTREAM_* is set",
			Setting: "here: " + roleSetting + "; and in the trigger job forward: {yaml_variables: true}. From GitLab 18.9 on none are needed",
			Code:    fault.Missing,
		}
	}
	return Check{Name: name, State: NotChecked, Found: "no other project started this pipeline"}
}

func (g GitLab) upstream() []Check {
	u := g.Upstream
	if u == nil {
		return []Check{{Name: "upstream", State: NotChecked, Found: "no other project started this pipeline; --upstream PROJECT asks for one"}}
	}
	jobs := u.ReadJobs.check("upstream jobs", "may be read in project "+u.Project)
	if u.Job != "" {
		jobs = jobs.as(Warning) // its number does
	}
	artifacts := u.Artifacts.check("upstream artifacts", "may be read in project "+u.Project)
	if artifacts.State == Failed && u.Package.Good() {
		artifacts = artifacts.as(Warning)
		artifacts.Found += "; its packages may be read"
	}
	parcel := u.Package.check("upstream packages", "may be read in project "+u.Project)
	if u.Artifacts.Good() {
		parcel = parcel.as(Warning)
	}
	return []Check{jobs, artifacts, parcel}
}

// allowlist says whether the upstream project lets this project's job tokens in.
func (g GitLab) allowlist() Check {
	const name = "allowlist"
	l := g.Allowlist
	switch {
	case l == nil:
		return Check{Name: name, State: NotChecked, Found: "only a Maintainer's token is told: set TOWLINE_GITLAB_TOKEN to one of the upstream project"}
	case !l.Asked.Good():
		return l.Asked.check(name, "").as(NotChecked)
	case l.Own == "":
		return Check{Name: name, State: NotChecked, Found: "--project PROJECT says whose job tokens it is about"}
	case l.Lets:
		return Check{Name: name, State: OK, Found: "project " + l.Upstream + " lets job tokens of " + l.Own + " in"}
	}
	return Check{
		Name: name, State: Failed, Found: "project " + l.Upstream + " does not let job tokens of " + l.Own + " in", Code: fault.Denied,
		Setting: "in project " + l.Upstream + ": Settings, CI/CD, Job token permissions, Add group or project: " + l.Own,
	}
}

// roleSetting is where a project says who may set variables of its pipelines.
const roleSetting = "Settings, CI/CD, Variables, Minimum role to use pipeline variables: Developer"

func (g GitLab) downstream() Check {
	const name = "downstream"
	if g.Downstream == nil {
		return Check{Name: name, State: NotChecked, Found: "--downstream PROJECT asks for the one that a trigger job starts"}
	}
	d := g.Downstream
	c := d.Asked.check(name, "project "+d.Project+" is there")
	if d.Asked.denied() {
		c.Setting = "set TOWLINE_GITLAB_TOKEN to a token with read_api of a member of project " + d.Project
	}
	return c
}

// variables says whether a trigger job's variables arrive downstream.
func (g GitLab) variables() Check {
	const name = "downstream variables"
	switch d := g.Downstream; {
	case d == nil || !d.Asked.Good():
		return Check{Name: name, State: NotChecked, Found: "no downstream project was asked"}
	case d.MinimumRole == "":
		return Check{Name: name, State: NotChecked, Found: "only a Maintainer's token is told who may set them", Setting: "look in project " + d.Project + ": " + roleSetting}
	case d.MinimumRole == "no_one_allowed":
		return Check{
			Name: name, State: Failed, Found: "project " + d.Project + " lets nobody set pipeline variables", Code: fault.Denied,
			Setting: "in project " + d.Project + ": " + roleSetting + "; or, from GitLab 18.9 on, the input pass: predefined of model-trigger",
		}
	case d.MinimumRole != "developer":
		return Check{
			Name: name, State: Warning, Found: "project " + d.Project + " lets only those set them who are " + d.MinimumRole + " there",
			Setting: "in project " + d.Project + ": " + roleSetting + "; or let such a user start the pipelines",
		}
	}
	return Check{Name: name, State: OK, Found: "Developers may set those of project " + g.Downstream.Project}
}
