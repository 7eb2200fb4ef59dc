package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

type versionOptions struct {
	explain      bool
	releaseAs    string
	retrain      bool
	rc           bool
	allowShallow bool
	dry          dryRun
}

func newVersion(a *app) *cobra.Command {
	var o versionOptions
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Compute the next version of each model, from git",
		Long: "Compute the semantic version that the commits since the last release ask for,\n" +
			"and write it to .towline/release.json and .towline/release.env. Only the version\n" +
			"goes to stdout; with --output env it is the lines of release.env.",
		Example: "  towline version\n  towline version --explain\n  towline version --release-as 1.0.0\n" +
			"  towline version --output json\n  towline version --output env",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{outputs: "env"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.retrain = o.retrain || a.getenv("TOWLINE_RETRAIN") == "true"
			return a.runVersion(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.explain, "explain", false, "show which commit asked for what, and why the base is the base")
	flags.StringVar(&o.releaseAs, "release-as", "", "release this version, X.Y.Z, whatever the commits say")
	flags.BoolVar(&o.retrain, "retrain", false, "a new model from a commit that may be released already (TOWLINE_RETRAIN=true)")
	flags.BoolVar(&o.rc, "rc", false, "a release candidate, X.Y.Z-rc.N, instead of the release itself")
	flags.BoolVar(&o.allowShallow, "allow-shallow", false, "answer from an incomplete history, and say that it is not exact")
	o.dry.register(cmd)
	return cmd
}

// asked is what the user wants beyond the ordinary next version.
func (o versionOptions) asked() record.Asked {
	asked := record.Asked{ReleaseAs: o.releaseAs, Retrain: o.retrain}
	if o.rc {
		asked.Channel = string(release.ReleaseCandidate)
	}
	return asked
}

func (a *app) runVersion(ctx context.Context, o versionOptions) error {
	if err := a.ownSource("version"); err != nil {
		return err
	}

	// Read.
	repo, err := a.repository()
	if err != nil {
		return err
	}
	models, err := a.models(repo.manifest)
	if err != nil {
		return err
	}
	if o.releaseAs != "" && len(models) > len(linked(repo.manifest, models[0])) {
		return fault.Newf(fault.Usage, "--release-as %s: of which model? %s has %s", o.releaseAs, manifest.File, modelNames(repo.manifest)).
			Hintf("pass --model NAME or set TOWLINE_MODEL")
	}
	s, err := a.readStory(ctx, repo, models, o.allowShallow)
	if err != nil {
		return err
	}

	// Decide.
	var all []versioned
	var records []record.Record
	for _, model := range models {
		v, rec, err := a.versionRecord(ctx, repo, s, model, o.asked())
		if err != nil {
			return err
		}
		all, records = append(all, v), append(records, rec)
	}

	// Act.
	if !o.dry.on {
		if err := a.saveVersions(ctx, repo, records); err != nil {
			return err
		}
		a.namePipeline(ctx, records)
	}

	// Tell.
	return a.tellVersions(repo, all, records, o)
}

// saveVersions writes the records. Those of all models come with their index.
func (a *app) saveVersions(ctx context.Context, repo repository, records []record.Record) error {
	unlock, err := repo.workspace.Lock(ctx, lockWait)
	if err != nil {
		return err
	}
	defer unlock()
	if len(records) == len(repo.manifest.Models) {
		return repo.workspace.SaveVersions(repo.manifest, records)
	}
	for _, rec := range records {
		if err := repo.workspace.SaveRecord(repo.manifest, rec); err != nil {
			return err
		}
	}
	return nil
}

// versioned is a version, and what is told of it besides.
type versioned struct {
	record.Version
	source   record.Source
	warnings []string
}

// versionRecord is the record of the model's next release. What was known of
// the same identity stays in it.
func (a *app) versionRecord(
	ctx context.Context, repo repository, s *story, model manifest.Model, asked record.Asked,
) (versioned, record.Record, error) {
	d, err := a.destination(repo.manifest)
	if _, inJob := a.job(); err != nil && inJob && a.target == "" {
		return versionAlone(s, model, asked)
	}
	if err != nil {
		return versioned{}, record.Record{}, err
	}
	var v versioned
	r, err := a.draftAs(ctx, repo, d, model, nil, func(r plan.Release) (drafted, error) {
		v, err = s.version(model, asked, r)
		return drafted{versioned: v}, err
	})
	if err != nil {
		return versioned{}, record.Record{}, err
	}
	if known, ok := repo.workspace.LoadRecord(repo.manifest, model.Name); ok && known.Identity == r.Record.Identity {
		r = remember(r, known)
	}
	return v, r.Record, nil
}

// versionAlone is for a job that has not said where it goes: a version needs
// no target, an identity does.
func versionAlone(s *story, model manifest.Model, asked record.Asked) (versioned, record.Record, error) {
	rec := record.Record{Schema: record.Schema, Project: s.manifest.Project, Model: model.Name}
	v, err := s.version(model, asked, plan.Release{Record: rec})
	rec.Source, rec.Version = v.source, v.Version
	return v, rec, err
}

// version is the model's version in the record's words. The draft tells its
// identity and what it is built on, if they are known.
func (s *story) version(model manifest.Model, asked record.Asked, r plan.Release) (versioned, error) {
	result, err := s.result(model, release.Options{
		ReleaseAs: asked.ReleaseAs, Retrain: asked.Retrain, Channel: release.Channel(asked.Channel),
		Identity: counted(s.history(model), r.Record.Identity, r.Target.Name, pinned(r.Target.Base)),
	})
	if err != nil {
		return versioned{}, err
	}
	v := versioned{Version: versionOf(result), source: s.source, warnings: result.Warnings}
	v.Candidate = s.candidate(result.Next, r.Record.Identity)
	v.Names = namesOf(s.manifest.Project, model.Name, v.Version.Version)
	if asked != (record.Asked{}) {
		v.Asked = &asked
	}
	if !v.Exact {
		v.warnings = append(v.warnings, "the history is incomplete: the version may be wrong")
	}
	return v, nil
}

// versionOf puts a computed version in the record's words.
func versionOf(result release.Result) record.Version {
	v := record.Version{
		Version: result.Version, Base: result.Base, Bump: result.Bump, Released: result.Released,
		Reused: result.Reused, Superseded: result.Superseded, Exact: result.Exact, Reason: []record.Reason{},
	}
	for _, reason := range result.Reasons {
		v.Reason = append(v.Reason, record.Reason{
			Commit: reason.Commit, Header: reason.Header, Bump: reason.Bump, Text: reason.Text,
		})
	}
	return v
}

// namesOf is the version as other services write it.
func namesOf(project, model, version string) *record.Names {
	pep440, errPython := release.PEP440(version)
	gitlab, errGitLab := release.GitLabVersion(version)
	if errors.Join(errPython, errGitLab) != nil {
		return nil // not of a computed version
	}
	return &record.Names{
		OCI: release.OCITag(version), SageMaker: release.SageMakerName(project, model, version),
		PEP440: pep440, GitLab: gitlab,
	}
}

// stageVersion is the version for a stage after the version job. In a pipeline
// that job's word stands; elsewhere what was asked of it for this commit does.
func (a *app) stageVersion(ctx context.Context, repo repository, model manifest.Model, r plan.Release) (drafted, error) {
	job, inJob := a.job()
	known, ok := repo.workspace.LoadRecord(repo.manifest, model.Name)
	if ok && inJob && job.PipelineURL != "" && known.Source.Pipeline == job.PipelineURL && known.Candidate != "" {
		git, err := a.openGit(ctx, repo.root, false)
		if err != nil {
			return drafted{}, err
		}
		v := drafted{versioned: versioned{Version: known.Version, source: known.Source}}
		v.source.Job = job.URL
		if git != nil && git.Head() == known.Source.Commit {
			v.committed, err = git.CommitTime(ctx)
			return v, err
		}
	}
	s, err := a.readStory(ctx, repo, []manifest.Model{model}, false)
	if err != nil {
		return drafted{}, err
	}
	var asked record.Asked
	if ok && known.Asked != nil && known.Tag == "" && known.Source.Commit == s.source.Commit {
		asked = *known.Asked
	}
	v, err := s.version(model, asked, r)
	if err != nil {
		return drafted{}, err
	}
	committed, err := s.commitTime(ctx)
	return drafted{versioned: v, committed: committed}, err
}
