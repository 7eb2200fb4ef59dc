package cli

import (
	"context"
	"fmt"

	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/plan"
)

// recorded adds to a plan that deploys that GitLab is told of it: in a job
// whose own environment does not do so, and of a deployment that outlives it.
func (a *app) recorded(p plan.Plan, r plan.Release, d destination) plan.Plan {
	job, inJob := a.job()
	if !inJob || d.local || job.Environment != "" || job.MergeRequest != "" || job.Commit == "" || job.Ref == "" {
		return p
	}
	if _, err := a.jobGitLab(); err != nil {
		return p // a runner without GitLab behind it
	}
	name := plan.EndpointName(r.Record.Project, r.Record.Model, d.name)
	return plan.Recorded(p, plan.RecordDeployment{
		Environment: d.name, Address: cloud.Console{Region: d.Region}.Endpoint(name),
		Commit: job.Commit, Ref: or(job.Tag, job.Ref), Tag: job.Tag != "",
	})
}

// beginDeployment tells GitLab that a deployment runs. A GitLab that is down
// keeps nobody from deploying.
func (c *courier) beginDeployment(ctx context.Context, a plan.RecordDeployment) (plan.Receipt, error) {
	client, err := c.own()
	if err != nil {
		return plan.Receipt{}, err
	}
	id, err := client.StartDeployment(ctx, gitlab.Deployment{
		Environment: a.Environment, Address: a.Address, Commit: a.Commit, Ref: a.Ref, Tag: a.Tag,
	})
	none := plan.Receipt{Yields: map[string]string{"deployment": ""}}
	if fault.KindOf(err) == fault.Remote && err != nil && ctx.Err() == nil {
		none.Said = fmt.Sprintf("not recorded at GitLab: %v", err)
		return none, nil
	}
	if err != nil {
		return plan.Receipt{}, err
	}
	c.deployment = id
	none.Yields["deployment"] = id
	none.Said = fmt.Sprintf("GitLab records deployment %s to %s", id, a.Environment)
	return none, nil
}

// endDeployment tells GitLab that the deployment has succeeded.
func (c *courier) endDeployment(ctx context.Context, a plan.EndDeployment) (plan.Receipt, error) {
	id := a.Deployment.String()
	if id == "" {
		return plan.Receipt{Said: "nothing to end at GitLab"}, nil
	}
	if err := c.conclude(ctx, gitlab.DeploymentSucceeded); err != nil {
		return plan.Receipt{Said: fmt.Sprintf("not recorded at GitLab: %v", err)}, nil
	}
	return plan.Receipt{Said: "GitLab records that deployment " + id + " succeeded"}, nil
}

// breakOff tells GitLab of a deployment that was begun and came to nothing,
// also after the command was interrupted.
func (c *courier) breakOff(ctx context.Context) {
	if c.deployment == "" {
		return
	}
	status := gitlab.DeploymentFailed
	if ctx.Err() != nil {
		status = gitlab.DeploymentCanceled
	}
	id := c.deployment
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), namingTime)
	defer cancel()
	if err := c.conclude(ctx, status); err != nil {
		c.tell.line("GitLab was not told that deployment " + id + " ended: " + err.Error())
		return
	}
	c.tell.line("GitLab records deployment " + id + " as " + status)
}

// conclude gives the deployment its last state.
func (c *courier) conclude(ctx context.Context, status string) error {
	client, err := c.own()
	if err != nil {
		return err
	}
	if err := client.EndDeployment(ctx, c.deployment, status); err != nil {
		return err
	}
	c.deployment = ""
	return nil
}
