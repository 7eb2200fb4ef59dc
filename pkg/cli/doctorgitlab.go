package cli

import (
	"context"
	"strings"
	"sync"
	"time"

	"gitlab.com/towline/towline/pkg/doctor"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/secret"
)

// gitlab asks GitLab, in a job as that job, and wherever a token was given for it.
func (e *examination) gitlab(ctx context.Context) {
	g := &e.facts.GitLab
	g.InJob, g.Source = e.inJob, e.job.PipelineSource
	for feature := range strings.SplitSeq(e.a.getenv("GITLAB_FEATURES"), ",") {
		g.Features = append(g.Features, strings.TrimSpace(feature))
	}
	if !e.inJob && e.a.getenv("TOWLINE_GITLAB_TOKEN") == "" {
		g.Skip = "no GitLab job, and no TOWLINE_GITLAB_TOKEN to ask GitLab with"
		return
	}
	var wait sync.WaitGroup
	for _, look := range []func(context.Context, *doctor.GitLab){
		e.gitlabVersion, e.jobToken, e.push, e.ownSettings, e.askUpstream, e.allowlist, e.askDownstream,
	} {
		wait.Go(func() { look(ctx, g) })
	}
	wait.Wait()
}

// client is one for a project, with the token that fetch would use.
func (e *examination) client(project string) (*gitlab.Client, error) {
	o, err := e.a.upstreamToken(project, e.o.api)
	o.Wait = quickly
	return gitlab.New(o), err
}

// quickly is the pause before a question is put a second time.
const quickly = 100 * time.Millisecond

// ownToken says whether there is a token of a person or project: GitLab tells
// it what it does not tell a job.
func (e *examination) ownToken() bool {
	kind := e.a.getenv("TOWLINE_GITLAB_TOKEN_TYPE")
	return e.a.getenv("TOWLINE_GITLAB_TOKEN") != "" && kind != "job"
}

// askWith asks GitLab about a project.
func (e *examination) askWith(ctx context.Context, project string, question func(context.Context, *gitlab.Client) error) doctor.Answer {
	return e.ask(ctx, func(ctx context.Context) error {
		client, err := e.client(project)
		if err != nil {
			return err
		}
		return question(ctx, client)
	})
}

func (e *examination) gitlabVersion(ctx context.Context, g *doctor.GitLab) {
	if g.Version = e.job.ServerVersion; g.Version != "" {
		return
	}
	if !e.ownToken() {
		g.VersionFrom = doctor.NotAsked("CI_SERVER_VERSION is not set, and a job token is not told")
		return
	}
	var version string
	g.VersionFrom = e.askWith(ctx, "", func(ctx context.Context, client *gitlab.Client) (err error) {
		version, err = client.Version(ctx)
		return err
	})
	g.Version = version
}

// jobToken asks for the job that this is.
func (e *examination) jobToken(ctx context.Context, g *doctor.GitLab) {
	if !e.inJob {
		g.Token = doctor.NotAsked("only jobs have one")
		return
	}
	g.Token = e.ask(ctx, func(ctx context.Context) error {
		o, err := e.a.gitlabAddress(e.job.Project(), e.o.api)
		if err != nil {
			return err
		}
		o.Token, o.Wait = secret.New(e.a.getenv("CI_JOB_TOKEN")), quickly
		there, err := gitlab.New(o).OwnJob(ctx)
		if err == nil && !there.IsZero() {
			e.clock("GitLab", there.Sub(e.a.now()))
		}
		return err
	})
}

// push asks whether the token may push a tag.
func (e *examination) push(ctx context.Context, g *doctor.GitLab) {
	if !e.inJob {
		g.Push = doctor.NotAsked("only jobs push tags")
		return
	}
	if e.upstream.Project != "" {
		g.Push = doctor.NotAsked("tags are the model project's")
		return
	}
	g.Push = e.ask(ctx, func(ctx context.Context) error {
		root, err := e.a.root()
		if err != nil {
			return err
		}
		git, err := e.a.openGit(ctx, root, true)
		if err == nil && git == nil {
			err = fault.Newf(fault.Missing, "push a tag: no git repository with a commit")
		}
		if err != nil {
			return err
		}
		return git.MayPush(ctx)
	})
}

// own is the project this is about, as far as it is known.
func (e *examination) own() string { return or(e.o.project, e.job.Project()) }

func (e *examination) ownSettings(ctx context.Context, g *doctor.GitLab) {
	if !e.ownToken() || e.own() == "" {
		return
	}
	s, asked := e.settings(ctx, e.own())
	if asked.Good() {
		g.Settings = &s
	}
}

func (e *examination) settings(ctx context.Context, project string) (doctor.Settings, doctor.Answer) {
	var s gitlab.Settings
	asked := e.askWith(ctx, project, func(ctx context.Context, client *gitlab.Client) (err error) {
		s, err = client.Settings(ctx)
		return err
	})
	return doctor.Settings{Path: s.Path, TokensPush: s.TokensPush, MinimumRole: s.MinimumRole}, asked
}

// askUpstream asks for what fetch would.
func (e *examination) askUpstream(ctx context.Context, g *doctor.GitLab) {
	u := e.upstream
	if u.Project == "" {
		return
	}
	found := &doctor.Upstream{Project: u.Project, Job: u.Job}
	g.Upstream = found
	var wait sync.WaitGroup
	wait.Go(func() {
		found.ReadJobs = doctor.NotAsked("neither its pipeline nor its job is known")
		if u.Pipeline != "" || u.Job != "" {
			found.ReadJobs = e.askWith(ctx, u.Project, func(ctx context.Context, client *gitlab.Client) error {
				return client.MayReadJobs(ctx, u.Pipeline, u.Job)
			})
		}
	})
	wait.Go(func() {
		found.Artifacts = doctor.NotAsked("the number of its job is not known")
		if u.Job != "" {
			found.Artifacts = e.askWith(ctx, u.Project, func(ctx context.Context, client *gitlab.Client) error {
				return client.MayReadArtifacts(ctx, u.Job)
			})
		}
	})
	wait.Go(func() {
		found.Package = e.askWith(ctx, u.Project, func(ctx context.Context, client *gitlab.Client) error {
			return client.MayReadPackages(ctx, packageName)
		})
	})
	wait.Wait()
}

// allowlist asks the upstream project whom it lets in.
func (e *examination) allowlist(ctx context.Context, g *doctor.GitLab) {
	if e.upstream.Project == "" || !e.ownToken() {
		return
	}
	found := &doctor.Allowlist{Upstream: e.upstream.Project, Own: e.job.ProjectPath}
	if project := or(e.o.project, e.o.downstream); found.Own == "" && project != "" {
		s, _ := e.settings(ctx, project) // without a path the check says what is missing
		found.Own = s.Path
	}
	found.Asked = e.askWith(ctx, e.upstream.Project, func(ctx context.Context, client *gitlab.Client) error {
		list, err := client.Allowlist(ctx)
		found.Lets = list.Lets(found.Own)
		return err
	})
	g.Allowlist = found
}

// askDownstream asks the project that is triggered who may set variables there.
func (e *examination) askDownstream(ctx context.Context, g *doctor.GitLab) {
	if e.o.downstream == "" {
		return
	}
	found := &doctor.Downstream{Project: e.o.downstream, Asked: doctor.NotAsked("a job token is not told: set TOWLINE_GITLAB_TOKEN")}
	if e.ownToken() {
		found.Settings, found.Asked = e.settings(ctx, e.o.downstream)
	}
	g.Downstream = found
}
