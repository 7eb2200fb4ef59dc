package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

func newTrain(a *app) *cobra.Command {
	return newStage(a, "train", "Train this release, and read what it scored",
		"  towline train\n  towline train --dry-run --target aws --env prod",
		func(r plan.Release) (plan.Plan, error) {
			if err := pushed(r); err != nil {
				return nil, err
			}
			return plan.Known(r, plan.Training(r)), nil
		})
}

func newGate(a *app) *cobra.Command {
	return newStage(a, "gate", "Hold the candidate against its limits and the champion",
		"  towline gate\n  towline gate --output json",
		func(r plan.Release) (plan.Plan, error) {
			if err := measured(r); err != nil {
				return nil, err
			}
			return plan.Known(r, plan.Judging(r)), nil
		})
}

func newDeploy(a *app) *cobra.Command {
	return newStage(a, "deploy", "Make the endpoint serve this release",
		"  towline deploy\n  towline deploy --target aws --env prod --dry-run",
		func(r plan.Release) (plan.Plan, error) {
			if err := deployable(r); err != nil {
				return nil, err
			}
			return plan.Known(r, slices.Concat(plan.Deploying(r), plan.Asking(r))), nil
		})
}

// newStage is a command that does one stage of the way.
func newStage(a *app, name, short, example string, planner func(plan.Release) (plan.Plan, error)) *cobra.Command {
	var dry dryRun
	cmd := &cobra.Command{
		Use: name, Short: short, Example: example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runStages(cmd.Context(), dry, stage{name: name, plan: planner})
		},
	}
	dry.register(cmd)
	return cmd
}

// packaged makes sure that there is an image to push.
func packaged(r plan.Release) error {
	if r.Record.Image == nil || r.World.Read && !r.World.Image && !r.World.Layout {
		return notYet("push", r, "it is not packaged", "towline package")
	}
	return nil
}

// pushed makes sure that there is an image to train with.
func pushed(r plan.Release) error {
	if !r.Model.Trained() {
		return fault.Newf(fault.Repository, "train %s: the manifest has no train section", r.Model.Name).
			Hintf("add train: with a command: to the model in towline.yaml; without it there is an image and no more")
	}
	if r.Record.Image == nil || r.Record.Image.Repository == "" {
		return notYet("train", r, "its image is not pushed", "towline push")
	}
	return nil
}

// measured makes sure that there are metrics to judge.
func measured(r plan.Release) error {
	if r.Model.Evaluate == nil {
		return fault.Newf(fault.Repository, "gate %s: the manifest has no evaluate section", r.Model.Name).
			Hintf("add evaluate: with a gate: to the model in towline.yaml")
	}
	if r.Record.Evaluation == nil {
		return notYet("gate", r, "it is not trained", "towline train")
	}
	return nil
}

// deployable makes sure that the release is trained and was let through.
func deployable(r plan.Release) error {
	if r.Model.Serve == nil {
		return fault.Newf(fault.Repository, "deploy %s: the manifest has no serve section", r.Model.Name).
			Hintf("add serve: with a command: to the model in towline.yaml")
	}
	if r.Record.Training == nil {
		return notYet("deploy", r, "it is not trained", "towline train")
	}
	if r.Model.Evaluate == nil {
		return nil
	}
	if r.Record.Verdict == nil {
		return notYet("deploy", r, "the gate has not judged it", "towline gate")
	}
	if !r.Record.Verdict.Passed {
		return fault.Newf(fault.Refused, "deploy %s: the gate refused %s", r.Model.Name, r.Record.Name()).
			Hintf("improve the model and train it again; what serves now stays as it is")
	}
	if c := r.World.Champion; c != nil && c.Identity != r.Record.Identity && c.Name() != r.Record.Verdict.Champion {
		return notYet("deploy", r, "the gate has not held it against the champion "+c.Name(), "towline gate")
	}
	return nil
}

// notYet is a stage that lacks the one before it.
func notYet(operation string, r plan.Release, why, command string) error {
	return fault.Newf(fault.Missing, "%s %s: %s is not ready: %s", operation, r.Model.Name, r.Record.Name(), why).
		Hintf("run %s first, or hand on .towline/release.json from the job that did", command)
}
