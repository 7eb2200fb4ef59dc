package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/ci"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
	"gitlab.com/towline/towline/pkg/secret"
)

// tagger carries out the plans by which releases get their versions, one
// group after the other.
type tagger struct {
	*app
	opened
	git     *gitlog.Repo
	publish publisher
	group   tagGroup

	registry *gitlab.Client // nil for no model registry
}

// Do sends the action to its room.
func (t *tagger) Do(ctx context.Context, action plan.Action) (plan.Receipt, error) {
	switch a := action.(type) {
	case plan.Tag:
		return t.tag(ctx, a)
	case plan.Promote:
		return t.promote(ctx, a)
	case plan.SaveRecord:
		return t.saveRemote(ctx, a)
	case plan.Register:
		return t.register(ctx, a)
	case plan.CompleteRelease:
		return t.completeRelease(ctx, a)
	}
	return plan.Receipt{}, fault.Newf(fault.Bug, "carry out %s: nobody does a %T", action.ID(), action)
}

// tag takes the versions, and writes them down.
func (t *tagger) tag(ctx context.Context, a plan.Tag) (plan.Receipt, error) {
	var histories []release.History
	allocation := gitlog.Allocation{
		Components: components(t.manifest, t.group.models), Commit: a.Commit,
		Compute: func(hs []release.History) ([]release.Result, error) {
			histories = hs
			return t.group.compute(t.components(), hs, t.name)
		},
		Message: t.message, Now: t.now,
		Name:  or(t.getenv("GITLAB_USER_NAME"), t.getenv("GIT_COMMITTER_NAME")),
		Email: or(t.getenv("GITLAB_USER_EMAIL"), t.getenv("GIT_COMMITTER_EMAIL")),
	}
	if a.Through == plan.ThroughReleases {
		allocation.Publish = t.publish
	}
	results, err := t.git.Allocate(ctx, allocation)
	if err != nil {
		return plan.Receipt{}, err
	}
	receipt := plan.Receipt{Yields: map[string]string{}}
	var said []string
	for i, result := range results {
		rec := &t.group.records[i]
		version, moving, tag := "", []string(nil), ""
		if t.group.takes(*rec, result, histories[i]) {
			*rec = numbered(*rec, result)
			t.group.taken[rec.Model] = true
			version, tag = plan.ImageTag(result.Version), result.Tag
			moving = release.MovingTags(t.components()[i], result.Version, histories[i].Tags)
			if err := t.workspace.SaveRecord(t.manifest, *rec); err != nil {
				return plan.Receipt{}, err
			}
		}
		receipt.Yields[plan.VersionOf(rec.Model)] = version
		receipt.Yields[plan.MovingOf(rec.Model)] = strings.Join(moving, ",")
		receipt.Yields[plan.TagOf(rec.Model)] = tag
		receipt.Yields[plan.NotesOf(rec.Model)] = release.Changelog(result)
		said = append(said, saidOf(*rec, result, version != ""))
	}
	receipt.Said = strings.Join(said, "; ")
	return receipt, nil
}

func (t *tagger) components() []release.Component {
	return components(t.manifest, t.group.models)
}

// saidOf is what came of one model, in a line.
func saidOf(rec record.Record, result release.Result, takes bool) string {
	switch {
	case result.Released:
		return fmt.Sprintf("%s on %s", result.Tag, start(rec.Source.Commit, 10))
	case takes:
		return result.Tag + " is there already, and is this release"
	case result.Superseded:
		return fmt.Sprintf("%s: nothing to release: a later commit is released already", rec.Model)
	case result.Reused:
		return fmt.Sprintf("%s: nothing to release: %s is released already", rec.Model, result.Tag)
	}
	return fmt.Sprintf("%s: nothing to release since %s", rec.Model, or(result.BaseTag, "the beginning"))
}

// compute gives the releases their versions. A tag that an earlier run made of
// this very release is its version.
func (g tagGroup) compute(components []release.Component, hs []release.History, environment string) ([]release.Result, error) {
	results := make([]release.Result, len(components))
	found := 0
	for i, c := range components {
		if result, ok := ours(c, hs[i], g.records[i]); ok {
			results[i] = result
			found++
		}
	}
	if found == len(components) {
		return results, nil
	}
	o := release.Options{}
	if asked := g.records[0].Asked; asked != nil {
		o = release.Options{ReleaseAs: asked.ReleaseAs, Retrain: asked.Retrain, Channel: release.Channel(asked.Channel)}
	}
	if len(components) > 1 {
		return release.ComputeLinked(components, hs, o)
	}
	o.Identity = counted(hs[0], g.records[0].Identity, environment, true)
	result, err := release.Compute(components[0], hs[0], o)
	return []release.Result{result}, err
}

// ours is the version of a tag that was made of this very release.
func ours(c release.Component, h release.History, rec record.Record) (release.Result, bool) {
	for _, tag := range h.Tags {
		version, ok := c.VersionOf(tag.Name)
		if !ok || tag.Place != release.Here {
			continue
		}
		trailer, ok := release.ParseTrailer(tag.Message)
		if ok && trailer.Identity == rec.Identity && trailer.Candidate == rec.Candidate && trailer.Candidate != "" {
			return release.Result{
				Component: c.Name, Version: version, Tag: tag.Name, Reused: true, Exact: h.Exact, Base: rec.Base, Bump: rec.Bump,
			}, true
		}
	}
	return release.Result{}, false
}

// takes says whether the version is that of this release: taken now or
// earlier, or by a job that had the same image.
func (g tagGroup) takes(rec record.Record, result release.Result, h release.History) bool {
	if result.Released {
		return true
	}
	i := slices.IndexFunc(h.Tags, func(tag release.Tag) bool { return tag.Name == result.Tag })
	if i < 0 || h.Tags[i].Place != release.Here {
		return false
	}
	trailer, ok := release.ParseTrailer(h.Tags[i].Message)
	return ok && trailer.Identity == rec.Identity && rec.Identity != "" &&
		(trailer.Candidate == rec.Candidate || rec.Image != nil && trailer.Image == rec.Image.Digest)
}

// numbered is the record with the version that it has got.
func numbered(rec record.Record, result release.Result) record.Record {
	v := versionOf(result)
	if !result.Released {
		v = rec.Version
		v.Version = result.Version
	}
	v.Tag, v.Candidate, v.Asked = result.Tag, rec.Candidate, rec.Asked
	v.Names = namesOf(rec.Project, rec.Model, result.Version)
	rec.Version = v
	return rec
}

// message is that of the tag: subject, changes, and what the release is.
func (t *tagger) message(result release.Result, claim string) string {
	i := slices.IndexFunc(t.group.records, func(rec record.Record) bool { return rec.Model == result.Component })
	rec := t.group.records[i]
	trailer := release.Trailer{
		Identity: rec.Identity, Candidate: rec.Candidate, Environment: t.name, Code: rec.Source.Commit,
		Data: plan.DataSetDigest(rec.Data), Pipeline: rec.Source.Pipeline, Claim: claim,
	}
	if rec.Image != nil {
		trailer.Image = rec.Image.Digest
	}
	return release.TagMessage(result.Component+" "+result.Version, release.Changelog(result), trailer)
}

// promote puts the version on the image, and writes that down.
func (t *tagger) promote(ctx context.Context, a plan.Promote) (plan.Receipt, error) {
	receipt, err := t.world.bundler.Promote(ctx, a)
	if err != nil || a.Version.String() == "" {
		return receipt, err
	}
	rec := t.record(a.Model)
	image := *rec.Image
	image.Tag = a.Version.String()
	rec.Image = &image
	return receipt, t.workspace.SaveRecord(t.manifest, *rec)
}

// record is the record of a model of the group.
func (t *tagger) record(model string) *record.Record {
	i := slices.IndexFunc(t.group.records, func(rec record.Record) bool { return rec.Model == model })
	return &t.group.records[i]
}

// saveRemote keeps the record under its identity. The release has its version
// by now: a target that cannot be reached takes nothing from it.
func (t *tagger) saveRemote(ctx context.Context, a plan.SaveRecord) (plan.Receipt, error) {
	rec := t.record(strings.TrimPrefix(a.Step, "tagged:"))
	if t.world == nil {
		return plan.Receipt{Said: "not kept: " + t.name + " does not run"}, nil
	}
	if rec.Tag == "" {
		return plan.Receipt{Said: "nothing new to keep"}, nil
	}
	body, err := record.Marshal(*rec)
	if err != nil {
		return plan.Receipt{}, err
	}
	err = t.world.cloud.SaveRecord(ctx, a.To, body)
	if kind := fault.KindOf(err); err != nil && ctx.Err() == nil && (kind == fault.Remote || kind == fault.Timeout) {
		return plan.Receipt{Said: fmt.Sprintf("not kept: %v", err)}, nil
	}
	return plan.Receipt{Said: "kept under its identity in s3://" + t.Bucket}, err
}

// releaseOptions are those of the client that makes releases.
func (a *app) releaseOptions(job ci.Job) gitlab.Options {
	o := gitlab.Options{API: job.APIURL, Project: job.Project(), Token: secret.New(a.getenv("CI_JOB_TOKEN")), Log: a.log()}
	if token := a.getenv("TOWLINE_GIT_TOKEN"); token != "" {
		o.Header, o.Token = gitlab.PrivateToken, secret.New(token)
	}
	return o
}

// publisher makes tags by GitLab releases; nil outside of a job.
func (a *app) publisher() publisher {
	job, inJob := a.job()
	if !inJob {
		return nil
	}
	o := a.releaseOptions(job)
	client := gitlab.New(o)
	return func(ctx context.Context, tags []gitlog.NewTag) error {
		if o.API == "" || o.Project == "" || o.Token.Empty() {
			return fault.Newf(fault.Missing, "release %s: CI_API_V4_URL, CI_PROJECT_ID or CI_JOB_TOKEN is not set", tags[0].Name).
				Hintf("run it in a GitLab job")
		}
		for _, tag := range tags {
			err := client.CreateRelease(ctx, gitlab.Release{
				Tag: tag.Name, Commit: tag.Commit, Message: tag.Message, Description: release.Changelog(tag.Result), Claim: tag.Claim,
			})
			if errors.Is(err, gitlab.ErrTaken) {
				return fmt.Errorf("release %s: %w", tag.Name, gitlog.ErrTaken)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}
