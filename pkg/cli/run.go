package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
)

func newRun(a *app) *cobra.Command {
	var dry dryRun
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Take a model the whole way: from its files to a prediction",
		Long: "Check, version, package, push, train, evaluate, gate and deploy each model of\n" +
			"the repository, and ask the endpoint for a prediction. What is done already is\n" +
			"kept: running twice is running once.",
		Example: "  towline run\n  towline run --dry-run --target aws --env prod\n  towline run -C models/url-risk --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runStages(cmd.Context(), dry, stage{
				name: "run", plan: func(r plan.Release) (plan.Plan, error) { return plan.Whole(r), nil }, whole: true,
			})
		},
	}
	dry.register(cmd)
	return cmd
}

// dryRun is the flag of every command that changes something.
type dryRun struct{ on bool }

func (d *dryRun) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&d.on, "dry-run", false, "print the plan and change nothing")
}

// stage is one command's share of the way: which part of the plan it carries out.
type stage struct {
	name  string
	plan  func(plan.Release) (plan.Plan, error)
	whole bool // begins with a check of the repository, and ends with the summary

	checked string // what the check said

	ready   func(context.Context, opened, plan.Release) (plan.Release, error) // reads what only this stage needs; may be nil
	explain bool                                                              // ends with the image's layers
}

// settle reads what only this stage needs.
func (s stage) settle(ctx context.Context, o opened, r plan.Release) (plan.Release, error) {
	if s.ready == nil {
		return r, nil
	}
	return s.ready(ctx, o, r)
}

// runStages carries the stage out for each model the command is about.
func (a *app) runStages(ctx context.Context, dry dryRun, s stage) error {
	t := a.teller()
	if dry.on {
		return a.planWhole(ctx, s, t)
	}
	o, err := a.open(ctx, t)
	if err != nil {
		return err
	}
	defer o.close()
	models, err := a.models(o.manifest)
	if err != nil {
		return err
	}
	if s.whole {
		if s.checked, err = a.checkStage(ctx); err != nil {
			return err
		}
	}
	for _, model := range models {
		if err := a.runStage(ctx, o, model, s); err != nil {
			return err
		}
	}
	return nil
}

// planWhole prints the plan, and then what the check would stop it for.
func (a *app) planWhole(ctx context.Context, s stage, t *teller) error {
	err := a.planStages(ctx, s, t)
	if err != nil || !s.whole {
		return err
	}
	_, err = a.checkStage(ctx)
	return err
}

func (a *app) runStage(ctx context.Context, o opened, model manifest.Model, s stage) error {
	// Read.
	r, err := a.draft(ctx, o.repository, o.destination, model, o.world.pin(o.destination))
	if err != nil {
		return err
	}
	if r, err = o.recall(ctx, r); err != nil {
		return err
	}
	if r, err = s.settle(ctx, o, r); err != nil {
		return err
	}
	o.tell.head("%s %s → %s", r.Record.Model, r.Record.Name(), o.name)
	if s.whole {
		o.tell.step("check", "%s", s.checked)
		o.tell.step("version", "%s", sayVersion(r.Record.Version))
	}

	// Decide.
	p, err := s.plan(r)
	if err != nil {
		return err
	}
	p = a.recorded(p, r, o.destination)

	// Act, and tell.
	c, err := o.carryOut(ctx, p, r.Record)
	return a.tellEnd(o, c, s, err)
}

// planStages prints what the stage would do. It starts nothing: a local cloud
// that runs already is asked, AWS is not.
func (a *app) planStages(ctx context.Context, s stage, t *teller) error {
	repo, d, models, err := a.survey()
	if err != nil {
		return err
	}
	o := opened{repository: repo, destination: d, tell: t}
	if d.local {
		if o.world, err = a.joinLocal(ctx, repo.workspace, t); err != nil {
			return err
		}
	}
	pin, err := a.pinOnDisk(d, t)
	if err != nil {
		return err
	}
	for _, model := range models {
		r, err := a.draft(ctx, repo, d, model, pin)
		if err != nil {
			return err
		}
		if r, err = o.recall(ctx, r); err != nil {
			return err
		}
		if r, err = s.settle(ctx, o, r); err != nil {
			return err
		}
		p, err := s.plan(r)
		if err != nil {
			return err
		}
		p = a.recorded(p, r, d)
		layers, err := a.preview(ctx, o, p)
		if err != nil {
			return err
		}
		if err := a.printPlan(p, r.Record, d, layers); err != nil {
			return err
		}
	}
	return nil
}
