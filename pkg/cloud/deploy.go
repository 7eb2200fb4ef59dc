package cloud

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

const (
	provisioning = 20 * time.Minute // for instances and traffic, on top of the server's own start
	races        = 3                // how often another job may come in between
	stillOld     = 3                // looks at the old config before an update counts as not begun
)

// What became of an endpoint, as it is said.
const (
	created = "was created"
	updated = "was updated"
)

// Deploy makes the endpoint serve the model. It has succeeded only if the
// endpoint is in service with the very config asked for: SageMaker reports an
// update that was rolled back as InService too, on the old one.
func (c *Cloud) Deploy(ctx context.Context, a plan.Deploy) (plan.Receipt, error) {
	for range races {
		state, err := c.settled(ctx, a)
		if err != nil {
			return plan.Receipt{}, err
		}
		if state.is(types.EndpointStatusInService) && state.Config == a.Config {
			return deployed(state, a, "serves this model already"), nil
		}
		if err := c.createConfig(ctx, a); err != nil {
			return plan.Receipt{}, err
		}
		did, err := c.change(ctx, state, a)
		if err == nil {
			return c.arrive(ctx, state, a, did)
		}
		if !raced(err) {
			return plan.Receipt{}, err
		}
	}
	return plan.Receipt{}, fault.Newf(fault.Conflict, "deploy to endpoint %s: another job changes it again and again", a.Endpoint).
		Hintf("let one deployment at a time run, with resource_group in GitLab")
}

// change asks for what the endpoint's state allows: to create, to update, or
// to replace one that failed and can only be deleted.
func (c *Cloud) change(ctx context.Context, state EndpointState, a plan.Deploy) (did string, err error) {
	if state.is(types.EndpointStatusFailed) {
		if err := c.remove(ctx, a); err != nil {
			return "", err
		}
		state = EndpointState{}
	}
	if state.Name == "" {
		_, err := c.sagemaker().CreateEndpoint(ctx, &sagemaker.CreateEndpointInput{
			EndpointName: &a.Endpoint, EndpointConfigName: &a.Config, Tags: tags(a.Tags, a.Identity),
		})
		return created, call{"create endpoint " + a.Endpoint, "sagemaker:CreateEndpoint"}.fault(err)
	}
	_, err = c.sagemaker().UpdateEndpoint(ctx, &sagemaker.UpdateEndpointInput{
		EndpointName: &a.Endpoint, EndpointConfigName: &a.Config,
	})
	return updated, call{"update endpoint " + a.Endpoint, "sagemaker:UpdateEndpoint"}.fault(err)
}

// raced says that the endpoint was created, or is being changed, by another job.
func raced(err error) bool {
	if err == nil {
		return false
	}
	text := strings.ToLower(err.Error())
	return taken(err) || strings.Contains(text, "in-progress")
}

// settled waits until nobody else works on the endpoint, and makes sure that
// it is this model's. Its zero value means that there is none.
func (c *Cloud) settled(ctx context.Context, a plan.Deploy) (EndpointState, error) {
	state, err := c.until(ctx, a, "wait for endpoint "+a.Endpoint, func(s EndpointState) bool { return !s.busy() })
	if err != nil || state.Name == "" {
		return state, err
	}
	return state, c.ours(ctx, state, a)
}

// ours refuses an endpoint that carries the tags of another project or model, or none.
func (c *Cloud) ours(ctx context.Context, state EndpointState, a plan.Deploy) error {
	found, err := c.tagsOf(ctx, &state.ARN)
	if err != nil {
		return err
	}
	if found[tagProject] == a.Tags[tagProject] && found[tagModel] == a.Tags[tagModel] {
		return nil
	}
	owner := "something that Towline did not make"
	if found[tagProject] != "" {
		owner = "model " + found[tagModel] + " of project " + found[tagProject]
	}
	return fault.Newf(fault.Conflict, "deploy to endpoint %s: it belongs to %s", a.Endpoint, owner).
		Hintf("give this model or project another name in towline.yaml, or delete that endpoint")
}

// until looks at the endpoint until it is as wanted. An endpoint that is not
// there is the zero state, and always an end.
func (c *Cloud) until(ctx context.Context, a plan.Deploy, doing string, wanted func(EndpointState) bool) (EndpointState, error) {
	deadline, said := c.now().Add(time.Duration(a.Startup)+provisioning), ""
	for {
		state, found, err := c.Endpoint(ctx, a.Endpoint)
		if err != nil || !found || wanted(state) {
			return state, err
		}
		if state.Status != said {
			said = state.Status
			c.log("endpoint " + a.Endpoint + ": " + spaced(said))
		}
		if c.now().After(deadline) {
			return state, fault.Newf(fault.Timeout, "%s: it is still %s", doing, spaced(state.Status)).
				Hintf("SageMaker goes on without us: look again with towline status, then run it again")
		}
		if err := c.wait(ctx, c.pause()); err != nil {
			c.log("endpoint " + a.Endpoint + ": left as it is, " + spaced(state.Status))
			return state, call{doing: doing}.fault(err)
		}
	}
}

// remove deletes an endpoint and waits until its name is free.
func (c *Cloud) remove(ctx context.Context, a plan.Deploy) error {
	c.log("endpoint " + a.Endpoint + ": it failed before and can only be replaced")
	_, err := c.sagemaker().DeleteEndpoint(ctx, &sagemaker.DeleteEndpointInput{EndpointName: &a.Endpoint})
	if err != nil && !notFound(err) {
		return call{"delete endpoint " + a.Endpoint, "sagemaker:DeleteEndpoint"}.fault(err)
	}
	_, err = c.until(ctx, a, "delete endpoint "+a.Endpoint, func(EndpointState) bool { return false })
	return err
}

// arrive waits for the end of a change that was asked for, and judges it.
func (c *Cloud) arrive(ctx context.Context, before EndpointState, a plan.Deploy, did string) (plan.Receipt, error) {
	looks := 0
	state, err := c.until(ctx, a, "deploy to endpoint "+a.Endpoint, func(s EndpointState) bool {
		looks++
		unchanged := s.Status == before.Status && s.Config == before.Config && s.Modified.Equal(before.Modified)
		return !s.busy() && (!unchanged || looks > stillOld)
	})
	switch {
	case err != nil:
		return plan.Receipt{}, err
	case state.Name == "":
		return plan.Receipt{}, fault.Newf(fault.Conflict, "deploy to endpoint %s: it was deleted meanwhile", a.Endpoint).
			Hintf("run it again")
	case state.is(types.EndpointStatusInService) && state.Config == a.Config && state.Failure == "":
		if did == updated {
			c.retag(ctx, state, a)
		}
		return deployed(state, a, did), nil
	}
	failed := undeployed(state, a)
	if failed.Kind == fault.Model {
		failed = failed.With(c.lastWords(ctx, a.Endpoint)...)
	}
	return plan.Receipt{}, failed
}

// retag makes the endpoint's own tags name what it serves now. They are for
// people: whose endpoint it is has not changed, and what it serves is read
// from its model.
func (c *Cloud) retag(ctx context.Context, state EndpointState, a plan.Deploy) {
	_, err := c.sagemaker().AddTags(ctx, &sagemaker.AddTagsInput{ResourceArn: &state.ARN, Tags: tags(a.Tags, a.Identity)})
	if err != nil {
		why := call{"tag endpoint " + a.Endpoint, "sagemaker:AddTags"}.fault(err)
		c.log(why.Error() + "; its tags still name the release before")
	}
}

// undeployed says what the endpoint does instead, and whose move it is.
func undeployed(state EndpointState, a plan.Deploy) *fault.Error {
	reason := firstLine(state.Failure)
	if reason == "" {
		reason = "SageMaker gives no reason"
	}
	kind, hint := blame(state.Failure)
	if state.is(types.EndpointStatusInService) && state.Config != a.Config {
		return fault.Newf(kind, "deploy to endpoint %s: it was rolled back to config %s: %s", a.Endpoint, state.Config, reason).
			Hintf("the old model serves on; "+hint, a.Endpoint)
	}
	return fault.Newf(kind, "deploy to endpoint %s: it is %s: %s", a.Endpoint, spaced(state.Status), reason).
		Hintf(hint, a.Endpoint)
}

// blame tells a server that does not start from a cloud that does not deliver.
// The hint takes the endpoint's name.
func blame(reason string) (fault.Kind, string) {
	text := strings.ToLower(reason)
	for _, word := range []string{"ping", "health check", "cannotstartcontainer", "container", "exited", "model server"} {
		if strings.Contains(text, word) {
			return fault.Model, "mend the serving code, or raise serve.startup; its log is in /aws/sagemaker/Endpoints/%s"
		}
	}
	if strings.Contains(text, "accessdenied") || strings.Contains(text, "access denied") || strings.Contains(text, "not authorized") {
		return fault.Denied, "give the execution role what endpoint %s needs: the image, the archive, the key"
	}
	return fault.Remote, "run it again, with another instance type if capacity is short; see towline status for %s"
}

func deployed(state EndpointState, a plan.Deploy, did string) plan.Receipt {
	return plan.Receipt{
		Yields: map[string]string{"endpoint": a.Endpoint},
		Section: record.Endpoint{
			Environment: a.Environment, Name: a.Endpoint, ARN: state.ARN, Config: a.Config, Model: a.Model.String(),
		},
		Said: "endpoint " + a.Endpoint + " " + did,
	}
}
