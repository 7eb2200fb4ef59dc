package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

// registry is GitLab's model registry, for those who asked for it.
func (a *app) registry(o tagOptions) (*gitlab.Client, error) {
	if !o.registry {
		return nil, nil
	}
	job, _ := a.job()
	project := job.Project()
	if project == "" {
		return nil, fault.Newf(fault.Usage, "tag --model-registry: this is no GitLab job").Hintf("run it in a pipeline of the model's project")
	}
	client, err := a.tokenGitLab(project)
	if err == nil && client == nil {
		err = fault.Newf(fault.Denied, "tag --model-registry: no token").
			Hintf("a job token cannot use the model registry: set %s to a project token with the scope api and the role Developer", gitlabToken)
	}
	return client, err
}

// announcement is what GitLab is told of a release that gets its version.
func (a *app) announcement(repo repository, d destination, rec record.Record, o tagOptions) plan.Announcement {
	var said plan.Announcement
	said.Release = o.through == plan.ThroughReleases
	if o.registry {
		said.Register = &plan.Register{Identity: rec.Identity, Files: existing(
			repo.workspace.Record(repo.manifest, rec.Model),
			filepath.Join(repo.workspace.Reports(repo.manifest, rec.Model), "gate.html"),
			filepath.Join(repo.workspace.Reports(repo.manifest, rec.Model), "gate.md"),
		)}
		if o.archive && rec.Training != nil {
			said.Register.Archive = rec.Training.ModelData
		}
	}
	add := func(name, kind, address string) {
		if address != "" {
			said.Links = append(said.Links, plan.Link{Name: name, Kind: kind, URL: plan.Text(address)})
		}
	}
	console := cloud.Console{Region: d.Region}
	if i := rec.Image; i != nil && i.Repository != "" && !d.local {
		add("Image "+i.Digest, "image", console.Image(i.Repository, i.Digest))
	}
	if t := rec.Training; t != nil && !d.local {
		add("Training job "+t.Job, "other", console.Training(t.Job))
	}
	add("Pipeline", "other", rec.Source.Pipeline)
	return said
}

// existing are the files that are there.
func existing(files ...string) []string {
	var some []string
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			some = append(some, file)
		}
	}
	return some
}

// completeRelease gives the GitLab release of a tag its links.
func (t *tagger) completeRelease(ctx context.Context, a plan.CompleteRelease) (plan.Receipt, error) {
	if a.Tag.String() == "" {
		return plan.Receipt{Said: "nothing was released"}, nil
	}
	var links []gitlab.ReleaseLink
	for _, link := range a.Links {
		if link.URL.String() != "" {
			links = append(links, gitlab.ReleaseLink{Name: link.Name, URL: link.URL.String(), Kind: link.Kind})
		}
	}
	job, _ := t.job()
	put, err := gitlab.New(t.releaseOptions(job)).CompleteRelease(ctx, a.Tag.String(), a.Notes.String(), links)
	return plan.Receipt{Said: fmt.Sprintf("%s has %d links, %d of them new", a.Tag, len(links), put)}, err
}

// register enters the version in the model registry, with its files.
func (t *tagger) register(ctx context.Context, a plan.Register) (plan.Receipt, error) {
	none := plan.Receipt{Yields: map[string]string{"url": ""}, Said: "nothing was released"}
	if a.Version.String() == "" {
		return none, nil
	}
	rec := t.record(a.Model)
	v := t.registryVersion(*rec)
	done, err := t.registry.RegisterModel(ctx, v)
	if err != nil {
		return plan.Receipt{}, err
	}
	var files []gitlab.File
	for _, path := range a.Files {
		file, err := onDisk(filepath.Base(path), path)
		if err != nil {
			return plan.Receipt{}, err
		}
		files = append(files, file)
	}
	if a.Archive != "" {
		archive, remove, err := t.archive(ctx, a.Archive)
		if err != nil {
			return plan.Receipt{}, err
		}
		defer remove()
		files = append(files, archive)
	}
	kept := 0
	for _, file := range files {
		there, err := t.registry.PutModelFile(ctx, v, done.ID, file)
		if err != nil {
			return plan.Receipt{}, err
		}
		if there {
			kept++
		}
	}
	said := fmt.Sprintf("%s %s is in GitLab's model registry, with %d files", v.Model, v.Version, len(files))
	if done.Found {
		said = fmt.Sprintf("%s %s was in GitLab's model registry already, and %d of %d files", v.Model, v.Version, kept, len(files))
	}
	return plan.Receipt{Yields: map[string]string{"url": done.URL}, Said: said}, nil
}

// registryVersion is the release in the registry's words.
func (t *tagger) registryVersion(rec record.Record) gitlab.ModelVersion {
	job, _ := t.job()
	v := gitlab.ModelVersion{
		Model: rec.Model, Version: rec.Version.Version, Identity: rec.Identity, Job: job.ID, At: t.now(),
		Tags: map[string]string{}, Params: map[string]string{}, Metrics: map[string]float64{},
	}
	v.Description = fmt.Sprintf("Release %s of %s. Identity %s.", rec.Version.Version, rec.Model, rec.Identity)
	for key, value := range map[string]string{
		"towline.candidate": rec.Candidate, "towline.commit": rec.Source.Commit, "towline.data": plan.DataSetDigest(rec.Data),
	} {
		if value != "" {
			v.Tags[key] = value
		}
	}
	if rec.Image != nil {
		v.Tags["towline.image"] = rec.Image.Digest
	}
	if rec.Training != nil {
		v.Params = rec.Training.Hyperparameters
		v.Tags["towline.training"] = rec.Training.Job
	}
	if rec.Evaluation != nil {
		v.Metrics = rec.Evaluation.Metrics
	}
	return v
}

// archive brings the model's archive to this machine, until remove is called.
func (t *tagger) archive(ctx context.Context, from string) (file gitlab.File, remove func(), err error) {
	if t.world == nil {
		return file, nil, fault.Newf(fault.Missing, "register: %s cannot be read: no local cloud runs", from).Hintf("run: towline local up --detach")
	}
	dir, err := os.MkdirTemp(t.workspace.Dir(), "archive-")
	if err != nil {
		return file, nil, fault.Newf(fault.Repository, "register: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) }
	path := filepath.Join(dir, "model.tar.gz")
	into, err := os.Create(path)
	if err == nil {
		_, err = t.world.cloud.Get(ctx, from, into)
		if closed := into.Close(); err == nil {
			err = closed
		}
	}
	if err == nil {
		file, err = onDisk("model.tar.gz", path)
	}
	if err != nil {
		remove()
	}
	return file, remove, err
}

// onDisk is a file that is sent to GitLab.
func onDisk(name, path string) (gitlab.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return gitlab.File{}, fault.Newf(fault.Missing, "read %s: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	digest := sha256.New()
	size, err := io.Copy(digest, file)
	if err != nil {
		return gitlab.File{}, fault.Newf(fault.Missing, "read %s: %w", name, err)
	}
	return gitlab.File{
		Name: name, Size: size, SHA256: hex.EncodeToString(digest.Sum(nil)),
		Open: func() (io.ReadCloser, error) { return os.Open(path) },
	}, nil
}
