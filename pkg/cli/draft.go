package cli

import (
	"cmp"
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

// draft reads what a release of the model would be: its version, its identity
// and its data. Nothing is asked of the target but, where pin is given, the
// digest of the base image.
func (a *app) draft(ctx context.Context, repo repository, d destination, model manifest.Model, pin pinner) (plan.Release, error) {
	return a.draftAs(ctx, repo, d, model, pin, func(r plan.Release) (drafted, error) {
		if repo.handed != nil {
			return repo.handed.drafted(), nil
		}
		return a.stageVersion(ctx, repo, model, r)
	})
}

// drafted is the version of a draft, and when its commit was made.
type drafted struct {
	versioned
	committed time.Time
}

// draftAs is draft with another way to the version, which is given all else.
func (a *app) draftAs(
	ctx context.Context, repo repository, d destination, model manifest.Model, pin pinner,
	version func(plan.Release) (drafted, error),
) (plan.Release, error) {
	base, err := d.base(model.Image)
	if err != nil {
		return plan.Release{}, err
	}
	platform := d.platform(model.Image)
	if pin != nil {
		if base, err = pin(ctx, base, platform); err != nil {
			return plan.Release{}, err
		}
	}
	r := plan.Release{
		Target: d.planTarget(base, platform), Model: model, Root: repo.root,
		Layout: repo.workspace.Image(repo.manifest, model.Name), Folders: map[string]string{},
		Reports: repo.workspace.Reports(repo.manifest, model.Name), SignKey: a.signKey,
	}
	r.Record = record.Record{Schema: record.Schema, Project: repo.manifest.Project, Model: model.Name}
	if r.Record.Data, err = readData(repo, d, model, &r); err != nil {
		return plan.Release{}, err
	}
	if r.Inputs, err = readInputs(repo, r); err != nil {
		return plan.Release{}, err
	}
	r.Record.Identity = release.Identity(r.Inputs)
	r.Inputs.Locks = locks(r.Inputs.Code, model)
	v, err := version(r)
	if err != nil {
		return plan.Release{}, err
	}
	r.Record.Source, r.Record.Version, r.Created = v.source, v.Version, v.committed
	return r, nil
}

// pinned says whether a base image can only be one.
func pinned(base string) bool { return base == "scratch" || strings.Contains(base, "@sha256:") }

// pinner finds the digest behind the name of a base image.
type pinner func(ctx context.Context, base, platform string) (string, error)

// readData digests the local channels, and finds where they belong in S3.
func readData(repo repository, d destination, model manifest.Model, r *plan.Release) ([]record.Channel, error) {
	folders := dataFolders(model)
	test := testChannels(model)
	var channels []record.Channel
	for name, source := range model.Train.Channels {
		channel := record.Channel{Name: name, URI: source, Test: slices.Contains(test, name)}
		if folder, local := folders[name]; local {
			dir := filepath.Join(repo.root, filepath.FromSlash(folder))
			digest, files, _, err := bundle.DataDigest(dir)
			if err != nil {
				return nil, err
			}
			if files == 0 {
				return nil, fault.Newf(fault.Missing, "channel %s of %s: %s holds no files", name, model.Name, folder).
					Hintf("put the data there, or change train.channels in %s", manifest.File)
			}
			channel.Digest = digest
			channel.URI = plan.DataURI(d.Bucket, repo.manifest.Project, model.Name, name, digest)
			r.Folders[name] = dir
			r.Exclude = append(r.Exclude, folder)
		}
		channels = append(channels, channel)
	}
	slices.SortFunc(channels, func(a, b record.Channel) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(r.Exclude)
	return channels, nil
}

// placeless is a pinned base without the folder that it lies in: the same base
// elsewhere makes the same model.
func placeless(base string) string {
	_, digest, pinned := strings.Cut(base, "@")
	if strings.HasPrefix(base, "oci:") && pinned {
		return "oci@" + digest
	}
	return base
}

// readInputs reads all that could change the model.
func readInputs(repo repository, r plan.Release) (release.Inputs, error) {
	tree := bundle.Tree{Root: repo.root, Path: r.Model.Path, Shared: r.Model.Shared, Exclude: r.Exclude, Cache: repo.cache}
	files, err := bundle.Files(tree)
	if err != nil {
		return release.Inputs{}, err
	}
	inputs := release.Inputs{
		Base: placeless(r.Target.Base), Platform: r.Target.Platform, Python: r.Model.Image.Python, Layout: bundle.LayoutVersion,
		Programs: r.Model.Image.Programs, ImageEnv: r.Model.Image.Environment, User: r.Model.Image.User,
		Train: r.Model.Train.Command, Hyperparameters: r.Model.Train.Hyperparameters, TrainEnv: r.Model.Train.Environment,
		Data: map[string]string{},
	}
	if r.Model.Serve != nil {
		inputs.Serve = r.Model.Serve.Command
	}
	if e := r.Model.Evaluate; e != nil && len(e.Command) > 0 {
		inputs.Evaluate = append([]string{e.File}, e.Command...)
	}
	for _, f := range files {
		digest, err := f.Digest()
		if err != nil {
			return release.Inputs{}, err
		}
		inputs.Code = append(inputs.Code, release.File{Path: f.Path, Exec: f.Mode&0o111 != 0, SHA256: digest})
	}
	for _, c := range r.Record.Data {
		inputs.Data[c.Name] = c.Digest
		if c.Digest == "" {
			inputs.Data[c.Name] = c.URI
		}
	}
	return inputs, nil
}

// locks are the files that pin the dependencies, as far as they are packed.
func locks(code []release.File, model manifest.Model) []release.File {
	if model.Image.Requirements == "" {
		return nil
	}
	asked := path.Join(path.Clean(model.Path), model.Image.Requirements)
	var found []release.File
	for _, file := range code {
		if file.Path == asked || file.Path == path.Join(path.Dir(asked), "uv.lock") {
			found = append(found, file)
		}
	}
	return found
}
