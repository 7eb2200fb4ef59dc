package cli

import (
	"context"
	"strings"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

// recall adds to a draft what is known of its identity: from the workspace,
// and from the target if there is a world to ask.
func (o opened) recall(ctx context.Context, r plan.Release) (plan.Release, error) {
	if local, ok := o.workspace.LoadRecord(o.manifest, r.Model.Name); ok && local.Identity == r.Record.Identity {
		r = remember(r, local)
	}
	verdict := r.Record.Verdict
	if o.world == nil {
		return r, nil
	}
	uri := plan.RecordURI(o.Bucket, r.Record.Project, r.Record.Model, r.Record.Identity)
	kept, found, err := o.loadRecord(ctx, uri)
	if err != nil {
		return r, err
	}
	if found {
		r = remember(r, kept)
	}
	r, err = o.look(ctx, r)
	if champion := r.World.Champion; champion == nil || champion.Identity != r.Record.Identity {
		r.Record.Verdict = verdict // one against an earlier champion says nothing any more
	}
	return r, err
}

// remember takes over the sections of a record of the same identity, as far
// as they belong to the release's target.
func remember(r plan.Release, known record.Record) plan.Release {
	if known.Rest != nil {
		r.Record.Rest = known.Rest
	}
	if image := known.Image; image != nil {
		r.Record.Image = image
		if image.Repository != "" && image.Repository != plan.Repository(r.Target.Registry, r.Record.Project, r.Record.Model) {
			local := *image
			local.Repository, local.Tag = "", ""
			r.Record.Image = &local
		}
	}
	if t := known.Training; t != nil && strings.HasPrefix(t.ModelData, "s3://"+r.Target.Bucket+"/") {
		r.Record.Training, r.Record.Evaluation = t, known.Evaluation
	}
	if known.Verdict != nil {
		r.Record.Verdict = known.Verdict
	}
	if e := known.Endpoint; e != nil && e.Environment == r.Target.Name {
		r.Record.Endpoint = e
	}
	return r
}

// look asks the target what is there: the image, and the champion.
func (o opened) look(ctx context.Context, r plan.Release) (plan.Release, error) {
	r.World.Read = true
	if image := r.Record.Image; image != nil {
		digest, ok := bundle.LayoutDigest(r.Layout)
		r.World.Layout = ok && digest == image.Digest
		if image.Repository != "" {
			has, err := o.world.bundler.Has(ctx, image.Repository, image.Digest)
			if err != nil {
				return r, err
			}
			r.World.Image = has
		}
	}
	if r.Model.Serve == nil {
		return r, nil
	}
	champion, serving, err := o.champion(ctx, r)
	if err != nil {
		return r, err
	}
	r.World.Champion = champion
	r.World.Config, r.World.Healthy = serving.Config, serving.Healthy
	return r, nil
}

// live is what an endpoint serves at this moment.
type live struct {
	Config  string
	Healthy bool
}

// champion is the record of the release that the endpoint serves. Where its
// record is gone, what the tags say of it is all there is.
func (o opened) champion(ctx context.Context, r plan.Release) (*record.Record, live, error) {
	name := plan.EndpointName(r.Record.Project, r.Record.Model, r.Target.Name)
	serving, found, err := o.world.cloud.Champion(ctx, name)
	if err != nil || !found {
		return nil, live{}, err
	}
	now := live{Config: serving.Config, Healthy: serving.Status == "InService" || serving.Status == "SystemUpdating"}
	if serving.Identity == "" {
		return nil, now, nil
	}
	rec, kept, err := o.loadRecord(ctx, plan.RecordURI(o.Bucket, r.Record.Project, r.Record.Model, serving.Identity))
	if err != nil {
		return nil, now, err
	}
	if !kept {
		rec = record.Record{Project: r.Record.Project, Model: r.Record.Model, Identity: serving.Identity}
		rec.Candidate = serving.Version
	}
	return &rec, now, nil
}

func (o opened) loadRecord(ctx context.Context, uri string) (record.Record, bool, error) {
	body, found, err := o.world.cloud.LoadRecord(ctx, uri)
	if err != nil || !found {
		return record.Record{}, false, err
	}
	rec, err := record.Unmarshal(body)
	return rec, err == nil, err
}
