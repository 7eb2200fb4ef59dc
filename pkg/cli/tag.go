package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

type tagOptions struct {
	through    string
	downstream bool
	registry   bool
	archive    bool
	dry        dryRun
}

func newTag(a *app) *cobra.Command {
	var o tagOptions
	cmd := &cobra.Command{
		Use:   "tag",
		Short: "Take the version for good, once the gate has passed",
		Long: "Allocate the version of a release that the gate has passed: make its annotated\n" +
			"git tag, and put the version on the image that passed, without a rebuild. Of\n" +
			"several jobs that release at once each gets a version of its own.\n" +
			"With --through releases-api the tag comes with a GitLab release: its notes are the\n" +
			"changes, its links lead to image, training and pipeline. With --model-registry the\n" +
			"version is entered in GitLab's model registry, with metrics, record and report.",
		Example: "  towline tag\n  towline tag --dry-run\n  towline tag --through releases-api\n  towline tag --through releases-api --model-registry\n  towline tag --downstream --target aws --env prod",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.registry = o.registry || o.archive || a.getenv("TOWLINE_MODEL_REGISTRY") == "true"
			return a.runTag(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.through, "through", plan.ThroughGit,
		"git, or releases-api where the job token may not push: the tag comes with a GitLab release")
	cmd.Flags().BoolVar(&o.downstream, "downstream", false,
		"another project trained, judged and deployed this release: take its record from the environment's bucket")
	cmd.Flags().BoolVar(&o.registry, "model-registry", false,
		"enter the version in GitLab's model registry, by TOWLINE_GITLAB_TOKEN (TOWLINE_MODEL_REGISTRY=true)")
	cmd.Flags().BoolVar(&o.archive, "model-archive", false, "and put the model's archive there")
	o.dry.register(cmd)
	return cmd
}

func (a *app) runTag(ctx context.Context, o tagOptions) error {
	// Read.
	if err := a.ownSource("tag"); err != nil {
		return err
	}
	if err := a.mayTag(o.through); err != nil {
		return err
	}
	repo, d, models, err := a.survey()
	if err != nil {
		return err
	}
	if o.downstream {
		if err := a.recallDownstream(ctx, models); err != nil {
			return err
		}
	}
	groups, err := taggable(repo, models, o.through)
	if err != nil {
		return err
	}
	registry, err := a.registry(o)
	if err != nil {
		return err
	}

	// Decide.
	plans := a.tagPlans(repo, d, groups, o)
	if o.dry.on {
		return a.printTagPlans(plans, groups, d)
	}

	// Act.
	t, err := a.openTagger(ctx, repo, d, groups)
	if err != nil {
		return err
	}
	defer t.close()
	t.registry = registry
	for i, p := range plans {
		t.group = groups[i]
		if err := plan.Run(ctx, p, t, t.tell); err != nil {
			return err
		}
		groups[i] = t.group
	}

	// Tell.
	return a.tellTagged(groups)
}

// tagPlans are the plans of the groups, in the same order.
func (a *app) tagPlans(repo repository, d destination, groups []tagGroup, o tagOptions) []plan.Plan {
	var plans []plan.Plan
	for _, group := range groups {
		p := plan.Tagging(o.through, d.Bucket, group.records)
		for _, rec := range group.records {
			p = append(p, plan.Announcing(rec.Model, a.announcement(repo, d, rec, o))...)
		}
		plans = append(plans, p)
	}
	return plans
}

func (a *app) printTagPlans(plans []plan.Plan, groups []tagGroup, d destination) error {
	for i, p := range plans {
		if err := a.printPlan(p, groups[i].records[0], d, nil); err != nil {
			return err
		}
	}
	return nil
}

// recallDownstream brings the records up to date with what a downstream project
// has made of the very same source, which it left in the bucket by its identity.
func (a *app) recallDownstream(ctx context.Context, models []manifest.Model) error {
	o, err := a.open(ctx, a.teller())
	if err != nil {
		return err
	}
	defer o.close()
	for _, model := range models {
		r, err := a.draft(ctx, o.repository, o.destination, model, o.world.pin(o.destination))
		if err != nil {
			return err
		}
		if r, err = o.recall(ctx, r); err != nil {
			return err
		}
		if r.Record.Training == nil {
			return fault.Newf(fault.Missing, "tag %s: no downstream project has left a record of %s in %s", model.Name, r.Record.Name(), o.Bucket).
				Hintf("let the trigger job wait for the downstream pipeline (strategy: mirror or depend), " +
					"and name the environment it deploys to with --env")
		}
		if err := o.workspace.SaveRecord(o.manifest, r.Record); err != nil {
			return err
		}
	}
	return nil
}

// mayTag refuses what no version is allocated for.
func (a *app) mayTag(through string) error {
	if through != plan.ThroughGit && through != plan.ThroughReleases {
		return fault.Newf(fault.Usage, "--through %s: wanted %s or %s", through, plan.ThroughGit, plan.ThroughReleases)
	}
	job, inJob := a.job()
	switch {
	case !inJob && through == plan.ThroughReleases:
		return fault.Newf(fault.Usage, "--through %s: this is no GitLab job", through).
			Hintf("run it in a pipeline, or use --through %s", plan.ThroughGit)
	case !inJob:
		return nil
	case job.MergeRequest != "":
		return fault.Newf(fault.Usage, "tag: this is the pipeline of merge request !%s, which releases nothing", job.MergeRequest).
			Hintf("run the job on the default branch only: if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH")
	case job.Tag == "" && job.DefaultBranch != "" && job.Ref != job.DefaultBranch && a.getenv("CI_COMMIT_REF_PROTECTED") != "true":
		return fault.Newf(fault.Usage, "tag: branch %s is neither %s nor protected, and releases nothing", job.Ref, job.DefaultBranch).
			Hintf("run the job on %s, or protect the branch (Settings, Repository, Protected branches)", job.DefaultBranch)
	}
	return nil
}

// tagGroup are models that get their versions in one step, with their records
// in the same order.
type tagGroup struct {
	models  []manifest.Model
	records []record.Record
	taken   map[string]bool // the models whose release has its version for sure
}

// taggable are the groups that the models are released in, each of whose
// releases has passed.
func taggable(repo repository, models []manifest.Model, through string) ([]tagGroup, error) {
	var groups []tagGroup
	seen := map[string]bool{}
	for _, model := range models {
		if seen[model.Name] {
			continue
		}
		group := tagGroup{models: linked(repo.manifest, model), taken: map[string]bool{}}
		for _, member := range group.models {
			seen[member.Name] = true
			rec, err := releasable(repo, member)
			if err != nil {
				return nil, err
			}
			group.records = append(group.records, rec)
		}
		if err := group.check(through); err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	return groups, nil
}

func (g tagGroup) check(through string) error {
	if len(g.models) > 1 && through == plan.ThroughReleases {
		return fault.Newf(fault.Usage, "tag %s: models released together need all of their tags or none, which releases cannot give",
			g.models[0].Name).Hintf("use --through %s", plan.ThroughGit)
	}
	for _, rec := range g.records[1:] {
		if rec.Source.Commit != g.records[0].Source.Commit {
			return fault.Newf(fault.Repository, "tag %s and %s: their records are of different commits", g.records[0].Model, rec.Model).
				Hintf("take both through one pipeline: they are released together")
		}
	}
	return nil
}

// releasable is the record of a release that may have a version.
func releasable(repo repository, model manifest.Model) (record.Record, error) {
	rec, err := repo.workspace.ReadRecord(repo.manifest, model.Name)
	if err != nil {
		return rec, err
	}
	r := plan.Release{Model: model, Record: rec}
	switch {
	case rec.Training == nil:
		return rec, notYet("tag", r, "it is not trained", "towline train")
	case model.Evaluate != nil && rec.Verdict == nil:
		return rec, notYet("tag", r, "the gate has not judged it", "towline gate")
	case model.Evaluate != nil && !rec.Verdict.Passed:
		return rec, fault.Newf(fault.Refused, "tag %s: the gate refused %s", model.Name, rec.Name()).
			Hintf("improve the model and train it again; the version stays free")
	case rec.Source.Commit == "":
		return rec, fault.Newf(fault.Missing, "tag %s: the release is of no commit", model.Name).
			Hintf("commit the repository to git, and take the release the whole way again")
	case rec.Source.Dirty:
		return rec, fault.Newf(fault.Repository, "tag %s: %s was made from files that are not committed", model.Name, rec.Name()).
			Hintf("commit them, and take the release the whole way again")
	}
	return rec, nil
}

// tellTagged prints on stdout the versions that there are now.
func (a *app) tellTagged(groups []tagGroup) error {
	var records, taken []record.Record
	for _, group := range groups {
		records = append(records, group.records...)
		for _, rec := range group.records {
			if group.taken[rec.Model] {
				taken = append(taken, rec)
			}
		}
	}
	switch {
	case a.output == "json" && len(records) == 1:
		return a.printJSON(records[0])
	case a.output == "json":
		return a.printJSON(map[string]any{"models": records})
	}
	for _, rec := range taken {
		line := rec.Version.Version
		if len(records) > 1 {
			line = rec.Model + " " + line
		}
		if _, err := fmt.Fprintln(a.stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// openTagger locks the workspace, opens git, and connects to the target. A
// local cloud is started only if there is an image to put a version on.
func (a *app) openTagger(ctx context.Context, repo repository, d destination, groups []tagGroup) (*tagger, error) {
	tell := a.teller()
	git, err := a.openGit(ctx, repo.root, false)
	if err != nil {
		return nil, err
	}
	if git == nil {
		return nil, fault.Newf(fault.Missing, "tag: %s is in no git repository with a commit", repo.root).
			Hintf("run it in a clone of the repository")
	}
	unlock, err := repo.workspace.Lock(ctx, lockWait)
	if err != nil {
		return nil, err
	}
	o := opened{repository: repo, destination: d, tell: tell, close: unlock}
	if o.world, err = a.tagWorld(ctx, o, groups); err != nil {
		unlock()
		return nil, err
	}
	if w := o.world; w != nil {
		o.close = func() {
			w.close()
			unlock()
		}
	}
	publish := a.publisher()
	return &tagger{app: a, opened: o, git: git, publish: publish}, nil
}

// tagWorld is the world that tagging needs, or nil.
func (a *app) tagWorld(ctx context.Context, o opened, groups []tagGroup) (*world, error) {
	for _, group := range groups {
		for _, rec := range group.records {
			if rec.Image == nil || rec.Image.Repository == "" {
				continue
			}
			if wanted := plan.Repository(o.Registry, rec.Project, rec.Model); rec.Image.Repository != wanted {
				return nil, fault.Newf(fault.Usage, "tag %s: its image is in %s, and that of %s would be in %s",
					rec.Model, rec.Image.Repository, o.name, wanted).
					Hintf("name the environment that it was pushed to with --target and --env")
			}
			return a.connect(ctx, o.destination, o.workspace, o.tell)
		}
	}
	if o.local {
		return a.joinLocal(ctx, o.workspace, o.tell)
	}
	return a.connectAWS(ctx, o.destination, o.tell)
}

// publisher is the way to tags that is no push: through GitLab's releases.
type publisher = func(ctx context.Context, tags []gitlog.NewTag) error
