package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/ci"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
	"gitlab.com/towline/towline/pkg/secret"
)

type versionOptions struct {
	explain   bool
	releaseAs string
	retrain   bool
	dry       dryRun
}

func newVersion(a *app) *cobra.Command {
	var o versionOptions
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Compute the next version of each model, from git",
		Long: "Compute the semantic version that the commits since the last release ask for,\n" +
			"and write it to .towline/release.json and .towline/release.env.",
		Example: "  towline version\n  towline version --explain\n  towline version --release-as 1.0.0\n  towline version --output json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runVersion(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.explain, "explain", false, "show which commit asked for what, and why the base is the base")
	flags.StringVar(&o.releaseAs, "release-as", "", "release this version, X.Y.Z, whatever the commits say")
	flags.BoolVar(&o.retrain, "retrain", false, "a new model from a commit that may be released already")
	o.dry.register(cmd)
	return cmd
}

func (a *app) runVersion(ctx context.Context, o versionOptions) error {
	// Read.
	repo, err := a.repository()
	if err != nil {
		return err
	}
	models, err := a.models(repo.manifest)
	if err != nil {
		return err
	}

	// Decide.
	var records []record.Record
	for _, model := range models {
		rec, err := a.versionRecord(ctx, repo, model, o)
		if err != nil {
			return err
		}
		records = append(records, rec)
	}

	// Act.
	if !o.dry.on {
		unlock, err := repo.workspace.Lock(ctx, lockWait)
		if err != nil {
			return err
		}
		defer unlock()
		if err := repo.workspace.SaveVersions(repo.manifest, records); err != nil {
			return err
		}
	}

	// Tell.
	return a.tellVersions(repo, records, o)
}

// versionRecord is the record of the model's next release. What was known of
// the same identity stays in it.
func (a *app) versionRecord(ctx context.Context, repo repository, model manifest.Model, o versionOptions) (record.Record, error) {
	d, err := a.destination(repo.manifest)
	if err != nil {
		return a.versionAlone(ctx, repo, model, o)
	}
	r, err := a.draftAs(ctx, repo, d, model, nil, release.Options{ReleaseAs: o.releaseAs, Retrain: o.retrain})
	if err != nil {
		return record.Record{}, err
	}
	if known, ok := repo.workspace.LoadRecord(repo.manifest, model.Name); ok && known.Identity == r.Record.Identity {
		r = remember(r, known)
	}
	return r.Record, nil
}

// versionAlone is for a job that has not said where it goes: a version needs
// no target, an identity does.
func (a *app) versionAlone(ctx context.Context, repo repository, model manifest.Model, o versionOptions) (record.Record, error) {
	v, err := a.readVersion(ctx, repo, model, release.Options{ReleaseAs: o.releaseAs, Retrain: o.retrain})
	if err != nil {
		return record.Record{}, err
	}
	rec := record.Record{Schema: record.Schema, Project: repo.manifest.Project, Model: model.Name, Source: v.source}
	rec.Version = v.named("")
	return rec, nil
}

// tellVersions prints one version as its number, several as a table.
func (a *app) tellVersions(repo repository, records []record.Record, o versionOptions) error {
	if a.output == "json" {
		if len(records) == 1 {
			return a.printJSON(records[0])
		}
		return a.printJSON(map[string]any{"models": records})
	}
	for _, rec := range records {
		if len(repo.manifest.Models) == 1 {
			fmt.Fprintln(a.stdout, rec.Version.Version)
		} else {
			fmt.Fprintf(a.stdout, "%s %s\n", rec.Model, rec.Version.Version)
		}
		if !rec.Released {
			fmt.Fprintf(a.stderr, "%s: nothing to release since %s\n", rec.Model, or(rec.Base, "the beginning"))
		}
		if o.explain {
			if err := explain(a.stderr, rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// sayVersion is a version in one line.
func sayVersion(v record.Version) string {
	switch {
	case !v.Released:
		return fmt.Sprintf("%s: nothing to release since then", v.Version)
	case v.Base == "":
		return fmt.Sprintf("%s, the first", v.Version)
	}
	return fmt.Sprintf("%s, a %s release after %s", v.Version, v.Bump, v.Base)
}

// explain shows what a version rests on.
func explain(w io.Writer, rec record.Record) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(table, "  base\t%s\n  bump\t%s\n  candidate\t%s\n", or(rec.Base, "none"), rec.Bump, rec.Candidate)
	for _, reason := range rec.Reason {
		commit := reason.Commit
		if len(commit) > 10 {
			commit = commit[:10]
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\n", or(commit, "·"), or(reason.Bump, "·"), reason.Text)
	}
	return table.Flush()
}

// versioned is what git says of a release.
type versioned struct {
	record.Version
	next      string // what a candidate leads to
	source    record.Source
	committed time.Time
	iid       string // of the pipeline; "" on a laptop
}

// readVersion computes the model's next version. A folder without git, or
// without a commit, is at its first version.
func (a *app) readVersion(ctx context.Context, repo repository, model manifest.Model, o release.Options) (versioned, error) {
	job, inJob := a.job()
	git, ok, err := gitlog.Open(ctx, repo.root, gitlog.Options{
		Environ: a.environ, Token: secret.New(a.getenv("CI_JOB_TOKEN")), Log: a.log(),
	})
	if err != nil {
		return versioned{}, err
	}
	v := versioned{}
	c := component(repo.manifest, model)
	history := release.History{Exact: true}
	if ok {
		if history, err = git.History(ctx, c); err != nil {
			return versioned{}, err
		}
		if err := v.readSource(ctx, git); err != nil {
			return versioned{}, err
		}
	}
	if inJob {
		v.iid, v.source = job.PipelineIID, jobSource(job, v.source)
	}
	result, err := release.Compute(c, history, o)
	if err != nil {
		return versioned{}, err
	}
	v.Version, v.next = versionOf(result), result.Next
	return v, nil
}

// readSource reads where the code came from.
func (v *versioned) readSource(ctx context.Context, git *gitlog.Repo) (err error) {
	v.source.Commit = git.Head()
	if v.committed, err = git.CommitTime(ctx); err != nil {
		return err
	}
	if v.source.Ref, err = git.Ref(ctx); err != nil {
		return err
	}
	if v.source.Dirty, err = git.Dirty(ctx); err != nil {
		return err
	}
	v.source.Repository, err = git.RemoteURL(ctx)
	return err
}

// named is the version with its candidate.
func (v versioned) named(identity string) record.Version {
	named := v.Version
	if identity != "" || v.iid != "" {
		named.Candidate = release.Candidate(v.next, v.iid, identity)
	}
	return named
}

// component is the model as something that gets versions.
func component(m manifest.Manifest, model manifest.Model) release.Component {
	return release.Component{
		Name: model.Name, Prefix: release.Prefix(model.Name, len(m.Models)),
		Paths: []string{model.Path}, Shared: model.Shared,
	}
}

// versionOf puts a computed version in the record's words.
func versionOf(result release.Result) record.Version {
	v := record.Version{
		Version: result.Version, Base: result.Base, Bump: result.Bump, Released: result.Released,
		Reused: result.Reused, Superseded: result.Superseded, Exact: result.Exact, Reason: []record.Reason{},
	}
	for _, reason := range result.Reasons {
		v.Reason = append(v.Reason, record.Reason{
			Commit: reason.Commit, Bump: reason.Bump, Text: strings.TrimSpace(reason.Text),
		})
	}
	return v
}

// jobSource is where the code came from, in a pipeline.
func jobSource(job ci.Job, source record.Source) record.Source {
	source.Commit, source.Ref = or(job.Commit, source.Commit), or(job.Ref, source.Ref)
	source.Pipeline, source.Job = job.PipelineURL, job.URL
	return source
}
