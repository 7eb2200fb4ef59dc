package cli

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/towline/towline/pkg/ci"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
	"gitlab.com/towline/towline/pkg/secret"
)

// story is what git tells of a repository: where its code came from, and the
// history of each model in question and of those it is released with.
type story struct {
	manifest  manifest.Manifest
	git       *gitlog.Repo // nil where there is no git, or no commit
	job       ci.Job       // zero on a laptop
	slug      string       // of the branch, as GitLab writes it
	source    record.Source
	histories map[string]release.History // by model
}

// openGit opens the repository's git with the credentials of the job.
func (a *app) openGit(ctx context.Context, root string, allowShallow bool) (*gitlog.Repo, error) {
	o := gitlog.Options{
		Environ: a.environ, Log: a.log(), AllowShallow: allowShallow,
		Token: secret.New(a.getenv("CI_JOB_TOKEN")), Host: a.getenv("CI_SERVER_HOST"),
	}
	if a.getenv("TOWLINE_CACHE") != "" {
		cache, err := a.cache()
		if err != nil {
			return nil, err
		}
		o.Cache = cache
	}
	if token := a.getenv("TOWLINE_GIT_TOKEN"); token != "" {
		// GitLab takes any name with such a token, but the job token's own.
		o.User, o.Token, o.Host = "oauth2", secret.New(token), ""
	}
	git, ok, err := gitlog.Open(ctx, root, o)
	if err != nil || !ok {
		return nil, err
	}
	return git, nil
}

// readStory reads all that the versions of the models rest on. A folder
// without git, or without a commit, has an empty story.
func (a *app) readStory(ctx context.Context, repo repository, models []manifest.Model, allowShallow bool) (*story, error) {
	job, _ := a.job()
	s := &story{
		manifest: repo.manifest, job: job, slug: or(a.getenv("CI_COMMIT_REF_SLUG"), job.Ref),
		histories: map[string]release.History{},
	}
	if err := release.CheckComponents(components(repo.manifest, repo.manifest.Models)); err != nil {
		return nil, err
	}
	git, err := a.openGit(ctx, repo.root, allowShallow)
	if err != nil {
		return nil, err
	}
	if s.git = git; git == nil {
		s.source = jobSource(job, record.Source{})
		return s, nil
	}
	together, ctx := errgroup.WithContext(ctx)
	together.Go(func() error { return s.readHistories(ctx, models) })
	together.Go(func() error { return s.readSource(ctx) })
	together.Go(func() error { return s.readObstacles(ctx) })
	return s, together.Wait()
}

func (s *story) readHistories(ctx context.Context, models []manifest.Model) error {
	all := s.withLinked(models)
	histories, err := s.git.Histories(ctx, components(s.manifest, all), s.git.Head())
	if err != nil {
		return err
	}
	for i, model := range all {
		s.histories[model.Name] = histories[i]
	}
	return nil
}

// readSource reads where the code came from.
func (s *story) readSource(ctx context.Context) error {
	state, err := s.git.State(ctx)
	if err != nil {
		return err
	}
	address, err := s.git.RemoteURL(ctx)
	s.source = jobSource(s.job, record.Source{
		Repository: published(address), Commit: s.git.Head(), Ref: state.Ref, Dirty: state.Dirty,
	})
	return err
}

// published is the address of a repository, or "" for one on this disk, which
// means nothing to anybody else.
func published(address string) string {
	if scheme, _, ok := strings.Cut(address, "://"); ok {
		if scheme == "file" {
			return ""
		}
		return address
	}
	host, _, ok := strings.Cut(address, ":") // HOST:PATH, as ssh has it
	if !ok || len(host) < 2 || strings.ContainsAny(host, `/\`) {
		return ""
	}
	return address
}

// readObstacles refuses tags that stand where folders of tags have to be.
func (s *story) readObstacles(ctx context.Context) error {
	all := components(s.manifest, s.manifest.Models)
	var folders []string
	for _, c := range all {
		if folder, _, nested := strings.Cut(c.Prefix, "/"); nested {
			folders = append(folders, folder)
		}
	}
	tagged, err := s.git.Tagged(ctx, folders)
	if err != nil {
		return err
	}
	var obstacles []release.Tag
	for _, name := range folders {
		if tagged[name] {
			obstacles = append(obstacles, release.Tag{Name: name})
		}
	}
	for _, c := range all {
		if err := release.CheckTags(c, obstacles); err != nil {
			return err
		}
	}
	return nil
}

// withLinked are the models and all that are released with them, each once.
func (s *story) withLinked(models []manifest.Model) []manifest.Model {
	var all []manifest.Model
	seen := map[string]bool{}
	for _, model := range models {
		for _, member := range linked(s.manifest, model) {
			if !seen[member.Name] {
				seen[member.Name] = true
				all = append(all, member)
			}
		}
	}
	return all
}

// linked are the models that are released together with the model, itself
// among them, in the order of the manifest.
func linked(m manifest.Manifest, model manifest.Model) []manifest.Model {
	for _, group := range m.Linked {
		names := map[string]bool{}
		for _, name := range group {
			names[name] = true
		}
		if !names[model.Name] {
			continue
		}
		var members []manifest.Model
		for _, member := range m.Models {
			if names[member.Name] {
				members = append(members, member)
			}
		}
		return members
	}
	return []manifest.Model{model}
}

// component is the model as something that gets versions.
func component(m manifest.Manifest, model manifest.Model) release.Component {
	c := release.Component{
		Name: model.Name, Prefix: release.Prefix(model.Name, len(m.Models)),
		Paths: []string{model.Path}, Shared: model.Shared, Exclude: model.Version.Exclude,
		Initial: model.Version.Initial, Bumps: model.Version.Bumps,
	}
	if model.Version.Always != release.None.String() {
		c.Always = model.Version.Always
	}
	return c
}

func components(m manifest.Manifest, models []manifest.Model) []release.Component {
	all := make([]release.Component, len(models))
	for i, model := range models {
		all[i] = component(m, model)
	}
	return all
}

// result computes the model's version, with those it is released with. One
// that is released by itself is reused where its identity is known.
func (s *story) result(model manifest.Model, o release.Options) (release.Result, error) {
	group := linked(s.manifest, model)
	if len(group) == 1 {
		return release.Compute(component(s.manifest, model), s.history(model), o)
	}
	o.Identity = ""
	var histories []release.History
	for _, member := range group {
		histories = append(histories, s.history(member))
	}
	results, err := release.ComputeLinked(components(s.manifest, group), histories, o)
	if err != nil {
		return release.Result{}, err
	}
	for i, member := range group {
		if member.Name == model.Name {
			return results[i], nil
		}
	}
	return release.Result{}, nil
}

func (s *story) history(model manifest.Model) release.History {
	if s.git == nil {
		return release.History{Exact: true}
	}
	return s.histories[model.Name]
}

// candidate names what is made before the gate has passed. A merge request and
// a branch that is not the default one have names of their own.
func (s *story) candidate(next, identity string) string {
	iid := s.job.PipelineIID
	switch {
	case iid == "" && identity == "":
		return ""
	case iid != "" && s.job.MergeRequest != "":
		return release.PreviewVersion(next, release.Preview{MergeRequest: s.job.MergeRequest, Pipeline: iid})
	case iid != "" && s.job.Tag == "" && s.job.DefaultBranch != "" && s.job.Ref != s.job.DefaultBranch:
		return release.PreviewVersion(next, release.Preview{Branch: s.slug, Pipeline: iid})
	}
	return release.Candidate(next, iid, identity)
}

// counted is the identity as far as the released ones can be compared with it:
// what was made for another environment is another build of the same model.
func counted(h release.History, identity, environment string, pinned bool) string {
	if !pinned {
		return ""
	}
	kept := identity
	for _, tag := range h.Tags {
		if tag.Place != release.Here {
			continue
		}
		trailer, ok := release.ParseTrailer(tag.Message)
		if ok && trailer.Identity == identity {
			return identity
		}
		if trailer.Environment != environment {
			kept = ""
		}
	}
	return kept
}

// commitTime is when the commit was made; the zero time without one.
func (s *story) commitTime(ctx context.Context) (time.Time, error) {
	if s.git == nil {
		return time.Time{}, nil
	}
	return s.git.CommitTime(ctx)
}

// jobSource is where the code came from, in a pipeline.
func jobSource(job ci.Job, source record.Source) record.Source {
	source.Commit, source.Ref = or(source.Commit, job.Commit), or(job.Ref, source.Ref)
	source.Pipeline, source.Job = job.PipelineURL, job.URL
	return source
}
