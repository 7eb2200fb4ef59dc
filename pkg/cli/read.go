package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/workspace"
)

// repository is what a command knows of the folder it works in.
type repository struct {
	root      string
	manifest  manifest.Manifest
	workspace *workspace.Workspace
	cache     string  // "" if there is no place for one
	handed    *handed // what another project handed over; nil for a repository of its own
}

// repository reads the manifest and checks the files it names.
func (a *app) repository() (repository, error) {
	root, err := a.root()
	if err != nil {
		return repository{}, err
	}
	if a.from != "" {
		return a.handedRepository(root)
	}
	m, err := manifest.Read(os.DirFS(root))
	if err != nil {
		return repository{}, err
	}
	if err := manifest.Check(m, os.DirFS(root)); err != nil {
		return repository{}, err
	}
	ws, err := workspace.Open(root)
	if err != nil {
		return repository{}, err
	}
	cache, err := a.cache()
	if err != nil {
		cache = "" // those who cannot do without it say so
	}
	return repository{root: root, manifest: m, workspace: ws, cache: cache}, nil
}

// models are those that the command is about: the one named, or all.
func (a *app) models(m manifest.Manifest) ([]manifest.Model, error) {
	if a.model == "" {
		return m.Models, nil
	}
	model, ok := m.Model(a.model)
	if !ok {
		return nil, fault.Newf(fault.Usage, "--model %s: %s has %s", a.model, manifest.File, modelNames(m))
	}
	return []manifest.Model{model}, nil
}

// oneModel is for commands that can be about one model only.
func (a *app) oneModel(m manifest.Manifest) (manifest.Model, error) {
	models, err := a.models(m)
	if err != nil {
		return manifest.Model{}, err
	}
	if len(models) > 1 {
		return manifest.Model{}, fault.Newf(fault.Usage, "which model? %s has %s", manifest.File, modelNames(m)).
			Hintf("pass --model NAME or set TOWLINE_MODEL")
	}
	return models[0], nil
}

// survey reads what every command about a target begins with: the repository,
// the destination and the models.
func (a *app) survey() (repository, destination, []manifest.Model, error) {
	repo, err := a.repository()
	if err != nil {
		return repository{}, destination{}, nil, err
	}
	d, err := a.destination(repo.manifest)
	if err != nil {
		return repository{}, destination{}, nil, err
	}
	models, err := a.models(repo.manifest)
	return repo, d, models, err
}

func modelNames(m manifest.Manifest) string {
	return strings.Join(namesOfModels(m), ", ")
}

// opened is a command's place of work: a repository with its lock held, a
// destination, and the world there.
type opened struct {
	repository
	destination
	world *world
	tell  *teller
	own   func() (*gitlab.Client, error) // GitLab, with the job's token
	close func()
}

// lockWait is how long a command waits for another one in the same folder.
const lockWait = 10 * time.Second

// open locks the workspace and connects to the destination.
func (a *app) open(ctx context.Context, t *teller) (opened, error) {
	repo, err := a.repository()
	if err != nil {
		return opened{}, err
	}
	d, err := a.destination(repo.manifest)
	if err != nil {
		return opened{}, err
	}
	if err := a.containable(d, repo.workspace); err != nil {
		return opened{}, err
	}
	unlock, err := repo.workspace.Lock(ctx, lockWait)
	if err != nil {
		return opened{}, err
	}
	w, err := a.connect(ctx, d, repo.workspace, t)
	if err != nil {
		unlock()
		return opened{}, err
	}
	if w.signer, err = a.signer(ctx, w.cloud); err != nil {
		w.close()
		unlock()
		return opened{}, err
	}
	return opened{repository: repo, destination: d, world: w, tell: t, own: a.jobGitLab, close: func() {
		w.close()
		unlock()
	}}, nil
}

// dataFolders are the local folders of a model's channels, relative to the repository.
func dataFolders(model manifest.Model) map[string]string {
	folders := map[string]string{}
	for name, source := range model.Train.Channels {
		if !strings.HasPrefix(source, "s3://") {
			folders[name] = filepath.ToSlash(filepath.Join(model.Path, source))
		}
	}
	return folders
}

// testChannels are the channels that the evaluation is measured on.
func testChannels(model manifest.Model) []string {
	var all []string
	for name := range model.Train.Channels {
		all = append(all, name)
	}
	if model.Evaluate != nil && model.Evaluate.Channel != "" {
		return []string{model.Evaluate.Channel}
	}
	if slices.Contains(all, "test") {
		return []string{"test"}
	}
	return all
}
