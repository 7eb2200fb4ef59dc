package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/workspace"
)

// imageRun is one run of an image, as it was decided.
type imageRun struct {
	imageRunOptions
	ref   string
	ml    optML
	model *manifest.Model // nil without a manifest
	rec   record.Record
}

func (a *app) runImage(ctx context.Context, o imageRunOptions) error {
	// Read.
	r, ws, err := a.readImageRun(o)
	if err != nil {
		return err
	}
	if o.dry.on {
		return a.planImageRun(r)
	}
	spec, err := a.imageSpec(ctx, ws, r)
	if err != nil {
		return err
	}
	programs, kind, err := a.openRuntime(ctx, o.runtime)
	if err != nil {
		return err
	}

	// Act.
	if err := ws.Create(); err != nil {
		return err
	}
	if err := r.ml.write(); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "%s of %s, by %s, /opt/ml in %s\n", strings.Join(r.program(), " "), r.ref, kind, r.ml.dir)
	if o.name == "serve" {
		return a.serveImage(ctx, programs, r, spec)
	}
	return a.trainImage(ctx, programs, r, spec)
}

// readImageRun finds out what is to be run, and with what.
func (a *app) readImageRun(o imageRunOptions) (imageRun, *workspace.Workspace, error) {
	r := imageRun{imageRunOptions: o, ref: o.image}
	root, err := a.root()
	if err != nil {
		return r, nil, err
	}
	ws, err := workspace.Open(root)
	if err != nil {
		return r, nil, err
	}
	place := "image"
	if _, err := os.Stat(filepath.Join(root, manifest.File)); o.image == "" || err == nil {
		repo, err := a.repository()
		if err != nil {
			return r, nil, err
		}
		model, err := a.oneModel(repo.manifest)
		if err != nil {
			return r, nil, err
		}
		if r.name != "" && o.image == "" && !model.Trained() {
			return r, nil, fault.Newf(fault.Usage, "image run %s: %s has no such program, as it is not trained", r.name, model.Name).
				Hintf("name a program of the image after --, such as: towline image run -- python --version")
		}
		r.model, place = &model, model.Name
		r.rec, _ = ws.LoadRecord(repo.manifest, model.Name)
		r.ref = or(o.image, ws.Image(repo.manifest, model.Name))
	}
	r.ml, err = r.contract(root, filepath.Join(ws.Dir(), "image-run", place))
	return r, ws, err
}

// planImageRun is what a dry run shows.
func (a *app) planImageRun(r imageRun) error {
	kind := or(r.runtime, a.getenv(localRuntime), "the first of runc, podman and docker that is there")
	if a.output == "json" {
		return a.printJSON(map[string]any{"plan": "run", "program": r.program(), "image": r.ref, "runtime": kind, "opt_ml": r.ml.dir})
	}
	_, err := fmt.Fprintf(a.stdout, "plan: run %s of %s by %s, with /opt/ml in %s\n", strings.Join(r.program(), " "), r.ref, kind, r.ml.dir)
	return err
}

// imageSpec opens the image for this machine's processor and says how it is to
// be run. The registry of a local cloud is asked where the cloud runs.
func (a *app) imageSpec(ctx context.Context, ws *workspace.Workspace, r imageRun) (runtime.Spec, error) {
	spec := runtime.Spec{Name: "image-run", Args: r.program(), OptML: r.ml.dir, Env: r.environ(), Log: a.stderr}
	var dial map[string]string
	if running, ok := localcloud.Find(ws.Local()); ok {
		dial = map[string]string{localcloud.Registry: running.Address}
	}
	b, err := a.newBundler(a.teller(), dial)
	if err != nil {
		return spec, err
	}
	spec.Image, err = b.Open(ctx, r.ref, "linux/"+goruntime.GOARCH)
	return spec, err
}

// openRuntime makes the runtime that was asked for, or the first of containers.
func (a *app) openRuntime(ctx context.Context, kind string) (runtime.Runtime, string, error) {
	cache, err := a.cache()
	if err != nil {
		return nil, "", err
	}
	options := a.runtimeOptions(cache)
	if kind = or(kind, a.getenv(localRuntime)); kind != "" {
		programs, err := runtime.Open(ctx, kind, options)
		return programs, kind, err
	}
	return runtime.OpenContainers(ctx, options)
}

// trainImage runs a program to its end and says where its work lies.
func (a *app) trainImage(ctx context.Context, programs runtime.Runtime, r imageRun, spec runtime.Spec) error {
	task, err := programs.Run(ctx, spec)
	if err != nil {
		return err
	}
	select {
	case <-task.Done():
	case <-ctx.Done():
		task.Stop(stopPatience)
		return context.Cause(ctx)
	}
	code, err := task.Wait()
	if err != nil {
		return err
	}
	if code != 0 {
		return fault.Newf(fault.Model, "image run: %s ended with exit code %d", strings.Join(r.program(), " "), code).
			Hintf("what it said is above; its folders are in %s", r.ml.dir)
	}
	if a.output == "json" {
		return a.printJSON(map[string]string{"image": r.ref, "model": r.ml.model(), "output": r.ml.output()})
	}
	if r.name == "" {
		return nil
	}
	_, err = fmt.Fprintf(a.stdout, "model   %s\noutput  %s\nnext    towline image run serve\n", r.ml.model(), r.ml.output())
	return err
}

// environ is what SageMaker and Towline set for the program.
func (r imageRun) environ() map[string]string {
	env := map[string]string{}
	if r.model != nil {
		own := map[string]string(r.model.Train.Environment)
		if r.name == "serve" && r.model.Serve != nil {
			own = r.model.Serve.Environment
		}
		for name, value := range own {
			env[name] = value
		}
		env["TOWLINE_PROJECT"], env["TOWLINE_MODEL"] = r.rec.Project, r.rec.Model
		env["TOWLINE_VERSION"], env["TOWLINE_IDENTITY"] = r.rec.Name(), r.rec.Identity
		env["TOWLINE_TRAINING_DATA"] = plan.DataSetDigest(r.rec.Data)
	}
	if r.name != "serve" {
		env["TRAINING_JOB_NAME"] = "image-run"
		env["TRAINING_JOB_ARN"] = "arn:aws:sagemaker:" + localcloud.Region + ":" + localcloud.Account + ":training-job/image-run"
	}
	return env
}

// contract is the /opt/ml that the program is given.
func (r imageRun) contract(root, place string) (optML, error) {
	ml := optML{dir: filepath.Join(place, or(r.name, "run")), fresh: true, channels: map[string]string{}}
	if r.optML != "" {
		dir, err := filepath.Abs(r.optML)
		if err != nil {
			return ml, fault.Newf(fault.Usage, "--opt-ml %s: %w", r.optML, err)
		}
		ml.dir, ml.fresh = dir, false
	}
	if r.name == "serve" {
		return ml, ml.serves(r.modelDir, optML{dir: filepath.Join(place, "train")}.model())
	}
	if r.modelDir != "" {
		return ml, fault.Newf(fault.Usage, "--model-dir is for serve")
	}
	if r.name == "" || r.model == nil {
		return ml, nil
	}
	ml.hyperparameters = r.model.Train.Hyperparameters
	folders := dataFolders(*r.model)
	for name, source := range r.model.Train.Channels {
		folder, local := folders[name]
		ml.channels[name] = filepath.Join(root, filepath.FromSlash(folder))
		if local {
			if _, _, _, err := bundle.DataDigest(ml.channels[name]); err != nil {
				return ml, err
			}
			continue
		}
		ml.channels[name] = ""
		if !isFolder(filepath.Join(ml.dir, "input", "data", name)) || ml.fresh {
			return ml, fault.Newf(fault.Missing, "image run: channel %s lies at %s, which is not fetched", name, source).
				Hintf("put its files into DIR/input/data/%s and pass --opt-ml DIR", name)
		}
	}
	return ml, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
