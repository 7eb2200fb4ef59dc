package gitlab

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Deployment is a deployment that no job's environment records.
type Deployment struct {
	Environment string
	Tier        string // production, staging, testing, development or other; "" lets GitLab tell by the name
	Address     string // of what was deployed, for the environment's button; may be empty
	Commit      string // full hash
	Ref         string
	Tag         bool
}

// States of a deployment.
const (
	DeploymentRunning   = "running"
	DeploymentSucceeded = "success"
	DeploymentFailed    = "failed"
	DeploymentCanceled  = "canceled"
)

// StartDeployment records that a deployment runs, and returns its number. The
// environment is made if there is none, and given the address it has now.
func (c *Client) StartDeployment(ctx context.Context, d Deployment) (string, error) {
	operation := "record the deployment to " + d.Environment
	if err := c.environment(ctx, d); err != nil {
		return "", c.explain(ctx, deploying, operation, err)
	}
	var made struct {
		ID int64 `json:"id"`
	}
	err := c.call(ctx, http.MethodPost, "/deployments", map[string]any{
		"environment": d.Environment, "sha": d.Commit, "ref": d.Ref, "tag": d.Tag, "status": DeploymentRunning,
	}, &made)
	return strconv.FormatInt(made.ID, 10), c.explain(ctx, deploying, operation, err)
}

// EndDeployment records how a deployment ended.
func (c *Client) EndDeployment(ctx context.Context, id, status string) error {
	err := c.call(ctx, http.MethodPut, "/deployments/"+url.PathEscape(id), map[string]string{"status": status}, nil)
	return c.explain(ctx, deploying, "record that deployment "+id+" ended with "+status, err)
}

// environment makes sure that the environment is there, with its address.
func (c *Client) environment(ctx context.Context, d Deployment) error {
	var found []struct {
		ID      int64  `json:"id"`
		Address string `json:"external_url"`
	}
	err := c.call(ctx, http.MethodGet, "/environments?name="+url.QueryEscape(d.Environment), nil, &found)
	if err != nil {
		return err
	}
	wanted := map[string]string{}
	if d.Address != "" {
		wanted["external_url"] = d.Address
	}
	if d.Tier != "" {
		wanted["tier"] = d.Tier
	}
	if len(found) == 0 {
		wanted["name"] = d.Environment
		return c.call(ctx, http.MethodPost, "/environments", wanted, nil)
	}
	if d.Address == "" || found[0].Address == d.Address {
		return nil
	}
	return c.call(ctx, http.MethodPut, "/environments/"+strconv.FormatInt(found[0].ID, 10), wanted, nil)
}
